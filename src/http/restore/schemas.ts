import { z } from 'zod';
import { CONTAINERS, JOB_STATES, type JobSettings, type JobStatus, TARGETS } from '../../contracts/jobs.ts';
import type { Shape } from '../schemas.ts';

const CODECS = ['h264', 'hevc', 'av1'] as const;

/** Settings of a restoration, as JSON or as fields of a form. */
export const settingsSchema = z.strictObject({
  target_resolution: z.enum(TARGETS).default('source').describe('lines of the result'),
  denoise_strength: z.number().min(0).max(1).default(1).describe('0 = untouched, 1 = fully restored'),
  model: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'name a model of GET /api/v1/models, `auto` or `none`')
    .default('auto')
    .describe('a model of GET /api/v1/models; auto = the best; none = only scale and encode again'),
  smoothing: z.number().min(0).max(1).default(0.5).describe('temporal smoothing, 0 = off'),
  codec: z.enum(CODECS).default('h264'),
  crf: z
    .number()
    .int()
    .min(0)
    .max(63)
    .optional()
    .describe(
      'constant quality: h264 and hevc 0 to 51, av1 0 to 63; lower is better; absent = the codec’s usual',
    ),
  container: z
    .enum(['auto', ...CONTAINERS])
    .default('auto')
    .describe('auto = mp4 unless it cannot hold a track of the original, then mkv'),
});

/** Settings that a form gives as text. */
export const NUMBERS: ReadonlySet<string> = new Set<keyof z.input<typeof settingsSchema>>([
  'denoise_strength',
  'smoothing',
  'crf',
]);

/** The JSON body of `POST /restore/video`; one of `url` and `upload`. */
export const requestSchema = settingsSchema.extend({
  url: z.string().min(1).max(2048).optional().describe('http(s) URL on a host of jobs.allowedHosts'),
  upload: z
    .string()
    .regex(/^[0-9a-f]{32}$/, 'is the last part of the URL of an upload')
    .optional()
    .describe('a finished resumable upload: the last part of its URL; it is used up'),
  name: z.string().min(1).max(255).optional().describe('what to call the file; for people only'),
});

const error = z.object({ code: z.string(), message: z.string(), retryable: z.boolean() });
const path = z.string().describe('path on this gateway');

export const jobSchema = z
  .object({
    id: z
      .string()
      .regex(/^[0-9a-f]{32}$/)
      .describe('hash of content, settings and models: the same request is the same job'),
    name: z.string(),
    state: z.enum(JOB_STATES),
    owner: z.string().describe('user or token; without auth, the address it came from'),
    created: z.iso.datetime(),
    started: z.iso.datetime().optional(),
    finished: z.iso.datetime().optional(),
    attempts: z.number().int().describe('how often it was begun'),
    settings: z.object({
      target_resolution: z.enum(TARGETS),
      denoise_strength: z.number(),
      model: z.string(),
      smoothing: z.number(),
      codec: z.enum(CODECS),
      crf: z.number().int().optional(),
      container: z.enum(CONTAINERS),
    } satisfies Shape<JobSettings>),
    input: z
      .object({
        bytes: z.number().int(),
        container: z.string().describe('ffmpeg’s name, found by content'),
        codec: z.string(),
        width: z.number().int(),
        height: z.number().int(),
        hasAudio: z.boolean(),
        sampleAspect: z.number().optional().describe('of samples that are not square, width by height'),
        duration: z.number().optional().describe('seconds'),
        fps: z.number().optional(),
        frames: z.number().int().optional().describe('counted or estimated'),
      } satisfies Shape<JobStatus['input']>)
      .describe('what probing found'),
    progress: z
      .object({
        stage: z.enum(['probing', 'restoring', 'finishing']),
        frames: z.number().int().describe('finished'),
        total: z.number().int().optional(),
        fps: z.number(),
        left: z.number().optional().describe('seconds, estimated'),
      } satisfies Shape<NonNullable<JobStatus['progress']>>)
      .optional(),
    error: error.optional().describe('why it failed, or why it will be tried again'),
    result: z
      .object({
        frames: z.number().int(),
        duration: z.number().describe('seconds'),
        width: z.number().int(),
        height: z.number().int(),
        model: z.string(),
        provider: z.string(),
        warnings: z.array(z.string()).describe('what could not be kept as it was'),
      } satisfies Shape<NonNullable<JobStatus['result']>>)
      .optional(),
    urls: z.object({
      self: path,
      video: path,
      frames: path,
      compare: path,
    } satisfies Shape<JobStatus['urls']>),
  } satisfies Shape<JobStatus>)
  .describe('A file that is restored');

export const jobListSchema = z.object({
  jobs: z.array(jobSchema).describe('newest first'),
  limits: z.object({
    maxUpload: z.number().int().describe('bytes'),
    maxDuration: z.number().describe('seconds'),
    urls: z.boolean().describe('whether there are hosts that files may be fetched from'),
  }),
});
