import { z } from 'zod';
import { explain } from '../config/explain.ts';
import { streamName, streamSchema } from '../config/schema.ts';
import type { ModelInfo, RtmpInfo } from '../contracts/control.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { ClientEvent } from '../contracts/events.ts';
import { RENDITIONS } from '../contracts/media.ts';
import { STAGES, STREAM_STATES, type StreamStatus } from '../contracts/stream.ts';
import type { Problem } from './problem.ts';

const summary = z.object({ p50: z.number(), p95: z.number(), max: z.number() });

/** A schema for each key of a contract, so that the compiler tells when one is missing here. */
export type Shape<T> = Record<keyof T, z.ZodType>;

export const statusSchema = z
  .object({
    name: streamName,
    title: z.string().optional().describe('what people see in place of the name'),
    state: z.enum(STREAM_STATES),
    cause: z.string().describe('why it is in this state, in words'),
    error: z.object({ code: z.string(), message: z.string(), retryable: z.boolean() }).optional(),
    since: z.iso.datetime().describe('when this state began'),
    retryAt: z.iso.datetime().optional().describe('when the next connection attempt is due'),
    reconnects: z.number(),
    source: z.string().describe('source URL, credentials redacted'),
    onDemand: z.boolean(),
    input: z
      .object({
        width: z.number(),
        height: z.number(),
        codec: z.string(),
        fps: z.number(),
        hasAudio: z.boolean(),
        decoder: z
          .string()
          .optional()
          .describe('software, cuda or vaapi; `software (why)` after a hardware decoder failed'),
        captureClock: z.enum(['camera', 'wrong']).optional(),
        captureLead: z.number().optional(),
        bitrate: z.number().optional().describe('bits per second'),
      })
      .optional()
      .describe('what the camera sends'),
    restoration: z
      .object({
        model: z.string(),
        provider: z.string(),
        width: z.number(),
        height: z.number(),
        strength: z.number(),
        smoothing: z.number(),
        reason: z.string().describe('why this model and this height'),
        step: z.number().describe('position on the ladder: 0 = as wanted, higher = lighter'),
      })
      .optional(),
    encoders: z
      .partialRecord(z.enum(RENDITIONS), z.string())
      .optional()
      .describe('by rendition: software, nvenc or vaapi; `software (why)` after a hardware encoder failed'),
    fps: z.number().describe('pictures published a second'),
    frames: z.object({ restored: z.number(), passthrough: z.number(), dropped: z.number() }),
    latency: z
      .partialRecord(z.enum([...STAGES, 'total']), summary)
      .optional()
      .describe('milliseconds over the last seconds'),
    viewers: z.object({ webrtc: z.number(), hls: z.number() }),
  } satisfies Shape<StreamStatus>)
  .describe('A stream and how it is doing');

export const modelSchema = z
  .object({
    name: z.string(),
    kind: z.enum(['restorer', 'smoother']),
    description: z.string(),
    version: z.string(),
    window: z
      .object({ past: z.number(), future: z.number() })
      .describe('frames it reads around the one restored'),
    provider: z.string().optional().describe('what runs it: cpu, webgpu, cuda or tensorrt'),
    error: z.string().optional().describe('what is wrong with a model that cannot be used'),
  } satisfies Shape<ModelInfo>)
  .describe('A model in models/');

export const rtmpSchema = z
  .object({
    enabled: z.boolean().describe('whether pushes are taken at all'),
    host: z.string().describe('the address it listens on; 0.0.0.0 and :: are every one of the host’s'),
    port: z.number(),
  } satisfies Shape<RtmpInfo>)
  .describe('Where a stream with source: push is pushed: rtmp://<host>:<port>/live/<name>?key=<key>');

export const problemSchema = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.number(),
    code: z.string().describe('stable name of the error, CLEARWAY_...'),
    detail: z.string().describe('what went wrong and what to do about it'),
    instance: z.string(),
    retryable: z.boolean(),
  } satisfies Shape<Problem>)
  .describe('An error (RFC 9457)');

/** Who chose the source is written down by us. */
const { origin: _origin, ...settable } = streamSchema.shape;
export const newStreamSchema = z
  .strictObject({ name: streamName, ...settable })
  .describe('A stream to add: its name and its settings');
const { source, ...withDefault } = settable;
export const streamPatchSchema = z
  .strictObject({
    source: source.optional(),
    ...(Object.fromEntries(
      Object.entries(withDefault).map(([name, setting]) => [name, setting.nullable().optional()]),
    ) as { [K in keyof typeof withDefault]: z.ZodOptional<z.ZodNullable<(typeof withDefault)[K]>> }),
  })
  .describe('Settings of a stream to change; null takes one back to its default, and removes title or key');
export const loginSchema = z.strictObject({ user: z.string().max(64), password: z.string().max(1024) });

export const sessionSchema = z
  .object({
    auth: z.boolean().describe('whether the gateway asks who you are'),
    user: z
      .object({
        name: z.string(),
        role: z.enum(['read', 'admin']),
        streams: z.array(z.string()),
        files: z.boolean().describe('whether they may have files restored'),
      })
      .optional(),
  })
  .describe('Who is asking');

/** Frame timings kept for traces. */
export const TRACE_SECONDS = 60;
export const traceQuerySchema = z.object({
  seconds: z
    .string()
    .regex(/^([1-9]|[1-5]\d|60)$/, `must be a whole number from 1 to ${TRACE_SECONDS}`)
    .optional(),
});

/** Milliseconds a player may report: an hour is a clock that is wrong, not a latency. */
const sample = z.number().min(0).max(3_600_000);
export const clientEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('ping'), t0: z.number() }),
  z.object({
    type: z.literal('latency'),
    stream: streamName,
    protocol: z.enum(['webrtc', 'hls']),
    ms: z.array(sample).max(256),
    pts: z.array(z.number().int().min(0).max(Number.MAX_SAFE_INTEGER)).max(256).optional(),
  }),
]) satisfies z.ZodType<ClientEvent>;

/** Checks a JSON body and returns it as it came, defaults not filled in. Throws CLEARWAY_BAD_REQUEST. */
export function checkBody<S extends z.ZodType>(schema: S, body: unknown): z.input<S> {
  const result = schema.safeParse(body);
  // The schema has just accepted it as its input.
  if (result.success) return body as z.input<S>;
  const said = result.error.issues
    .flatMap((issue) => explain(issue, ['streams', '*']))
    .map(({ path, reason }) => `${path.slice(2).map(String).join('.') || 'body'}: ${reason}`);
  throw new ClearwayError('CLEARWAY_BAD_REQUEST', said.join('; '), { status: 400 });
}
