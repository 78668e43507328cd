import { z } from 'zod';
import { duration } from './duration.ts';
import { size } from './size.ts';

/** Restoring files: POST /restore/video. */
export const jobsSchema = z.strictObject({
  enabled: z.boolean().default(true),
  directory: z
    .string()
    .min(1)
    .default('data/jobs')
    .describe('where uploads, results and the queue are; relative to this file'),
  redis: z
    .string()
    .regex(/^rediss?:\/\/\S+$/, 'write redis://host:port/db, rediss:// for TLS')
    .optional()
    .describe(
      'share the queue with other gateways; they need the same jobs.directory (a network file system)',
    ),
  takeover: duration
    .refine((ms) => ms >= 1000 && ms <= 600_000, 'must be 1s to 10m')
    .default(30_000)
    .describe('with redis: a gateway that is silent for so long loses its job to another'),
  concurrency: z.number().int().min(1).max(16).default(1).describe('files restored at a time'),
  maxQueued: z
    .number()
    .int()
    .min(1)
    .max(10_000)
    .default(100)
    .describe('jobs that may wait; more are refused'),
  maxUpload: size.default(4 * 2 ** 30).describe('largest file taken'),
  maxDuration: duration.default(4 * 3_600_000).describe('longest video taken'),
  minFree: size.default(2 ** 30).describe('space on the disk that uploads leave free'),
  allowedHosts: z
    .array(
      z
        .string()
        .regex(
          /^(\*\.)?[A-Za-z0-9._:-]{1,253}$/,
          'write a host name, *.domain or an address, without scheme or port',
        ),
    )
    .default([])
    .describe('hosts files may be fetched from ({"url": ...}); a private address must be listed itself'),
  keep: z
    .strictObject({
      count: z.number().int().min(1).max(10_000).default(100),
      size: size.default(20 * 2 ** 30),
      age: duration.default(7 * 24 * 3_600_000),
    })
    .prefault({})
    .describe('finished jobs that are kept, newest first; an identical request is answered from them'),
});

export type JobsConfig = z.output<typeof jobsSchema>;
