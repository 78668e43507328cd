import { isIP } from 'node:net';
import { z } from 'zod';
import { duration } from './duration.ts';
import { jobsSchema } from './jobs-schema.ts';

/** Stream names go into URLs and RTMP paths: node-media-server accepts only these characters. */
export const streamName = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
    'use 1 to 64 letters, digits, - or _, starting with a letter or digit',
  );

/** Words for people: no control characters, no halves of characters, nothing that turns the text after it around. */
const title = z
  .string()
  .max(80, 'write at most 80 characters')
  .regex(
    /^(?=.*\S)[^\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]*$/u,
    'write words, without line breaks and control characters',
  );

const bitrate = z.number().int().min(50_000).max(100_000_000);
const port = z.number().int().min(0).max(65535);

const bitrates = z
  .strictObject({
    min: bitrate.default(300_000),
    start: bitrate.default(2_000_000),
    max: bitrate.default(6_000_000),
  })
  .refine(({ min, max }) => min <= max, { path: ['max'], message: 'must not be below min' })
  // Who lowers `max` alone means the start too.
  .transform(({ min, start, max }) => ({ min, start: Math.min(Math.max(start, min), max), max }));

/** An address, or a network as address/bits. */
const network = z.string().refine((text) => {
  const [address = '', bits] = text.split('/');
  const family = isIP(address);
  return (
    family !== 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && +bits <= (family === 4 ? 32 : 128)))
  );
}, 'write an address or a network: 127.0.0.1, 10.0.0.0/8');

/** One stream: where it comes from and how it is restored. */
export const streamSchema = z
  .strictObject({
    source: z
      .string()
      .min(1)
      .max(2048)
      .describe(
        'rtsp(s)://, rtmp(s)://, srt://, http(s):// URL to pull; `push` to receive RTMP; `demo` for the built-in camera; file: and lavfi: only in this file',
      ),
    title: title.optional().describe('what people see in place of the name: any text'),
    transport: z
      .enum(['auto', 'tcp', 'udp'])
      .default('auto')
      .describe('RTSP transport; auto = TCP, then UDP if the camera refuses TCP'),
    origin: z
      .enum(['file', 'api'])
      .default('file')
      .describe(
        'who chose the source; the API writes `api` with each that it is given, which may be no file and no lavfi, and its host no link-local or cloud metadata address',
      ),
    enabled: z.boolean().default(true),
    onDemand: z.boolean().default(false).describe('connect only while somebody watches, and 10 s longer'),
    audio: z.boolean().default(true).describe('carry the source audio along'),
    key: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('stream key an RTMP publisher must present (?key=...)'),
    model: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'name a directory in models/, `auto` or `none`')
      .default('auto')
      .describe('a directory in models/, `auto`, or `none` to pass frames through'),
    height: z
      .union([z.literal('auto'), z.number().int().min(64).max(4320)])
      .default('auto')
      .describe(
        'lines of the restored picture; auto = the most this host sustains, never more than the source has; chosen again when that has changed for minutes',
      ),
    strength: z.number().min(0).max(1).default(1).describe('0 = untouched, 1 = fully restored'),
    smoothing: z.number().min(0).max(1).default(0.5).describe('temporal smoothing, 0 = off'),
    latencyBudget: duration
      .refine((ms) => ms >= 10 && ms <= 60_000, 'must be 10ms to 1m')
      .default(150)
      .describe('arrival to encoded picture; a frame that would be later goes out unrestored'),
    bitrate: bitrates
      .prefault({})
      .describe('bits per second of the published video; follows the receivers between min and max'),
  })
  .describe('one camera');

const scryptHash = /^scrypt:\d{1,8}:\d{1,3}:\d{1,3}:[A-Za-z0-9_-]{16,128}:[A-Za-z0-9_-]{32,128}$/;
const tokenHash = /^sha256:[0-9a-f]{64}$/;

const grants = {
  name: z.string().min(1).max(64),
  role: z
    .enum(['read', 'admin'])
    .default('read')
    .describe('read = watch; admin = change streams too; on `*`, the whole gateway'),
  streams: z
    .array(z.union([z.literal('*'), streamName]))
    .default(['*'])
    .describe("names of streams, or '*' for all"),
  files: z.boolean().optional().describe('whether they may have files restored; default: only admins of `*`'),
};

function uniqueNames(entries: { name: string }[]): boolean {
  return new Set(entries.map(({ name }) => name)).size === entries.length;
}

/** Who may do what. With no users and no tokens, auth is off and only loopback addresses may be bound. */
const authSchema = z.strictObject({
  users: z
    .array(
      z.strictObject({
        ...grants,
        name: grants.name.regex(/^[^:]+$/, 'must not contain a colon (HTTP Basic cannot carry it)'),
        password: z
          .string()
          .regex(scryptHash, 'must be the line `clearway hash-password` prints')
          .describe('hash made by `clearway hash-password`'),
      }),
    )
    .refine(uniqueNames, 'two users have the same name')
    .default([]),
  tokens: z
    .array(
      z.strictObject({
        ...grants,
        token: z
          .string()
          .regex(tokenHash, 'must be the line `clearway hash-token` prints')
          .describe('sha256:<hex> of the bearer token, made by `clearway hash-token`'),
      }),
    )
    .refine(uniqueNames, 'two tokens have the same name')
    .default([]),
});

export const configSchema = z.strictObject({
  http: z
    .strictObject({
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('address to listen on; 0.0.0.0 = all, needs auth'),
      port: port.default(8080),
      tls: z
        .strictObject({ cert: z.string().min(1), key: z.string().min(1) })
        .optional()
        .describe('PEM files; reloaded when they change'),
      trustedProxies: z
        .array(network)
        .default([])
        .describe('reverse proxies whose X-Forwarded-For says who asks; else their clients share one limit'),
      corsOrigins: z
        .array(
          z.union([
            z.literal('*'),
            z.string().regex(/^https?:\/\/[^/\s]+$/, 'write an origin: https://host[:port]'),
          ]),
        )
        .default(['*'])
        .describe(
          'origins that may play (WHEP, HLS) from another page; those named, not `*`, may restore files too; without auth, `*` means pages of this host',
        ),
    })
    .prefault({}),
  auth: authSchema.prefault({}),
  rtmp: z
    .strictObject({
      enabled: z.boolean().default(true),
      host: z
        .string()
        .min(1)
        .default('127.0.0.1')
        .describe('address to listen on; elsewhere needs stream keys'),
      port: port.default(1935),
      allowAny: z
        .boolean()
        .default(false)
        .describe('a push to an unknown name creates that stream for as long as it is pushed'),
    })
    .prefault({}),
  webrtc: z
    .strictObject({
      workers: z
        .number()
        .int()
        .min(1)
        .max(64)
        .optional()
        .describe('threads the viewers are spread over; default: cores / 2, 1 to 8'),
      maxViewers: z.number().int().min(1).max(10_000).default(60),
      portRange: z
        .tuple([port, port])
        .refine(([first, last]) => first < last, 'the first port must be below the last')
        .default([50_000, 50_999])
        .describe('UDP ports; two a viewer (IPv4 and IPv6)'),
      additionalHosts: z
        .array(z.string())
        .default([])
        .describe('addresses to offer besides the local ones (public IP behind NAT)'),
      iceServers: z
        .array(
          z
            .strictObject({
              urls: z.string().regex(/^(?:stun|turn)s?:[^\s<>"]+$/, 'write stun:host:port or turn:host:port'),
              username: z.string().optional(),
              credential: z.string().optional(),
            })
            .refine(
              ({ urls, username, credential }) =>
                !/^turns?:/.test(urls) || (username !== undefined && credential !== undefined),
              'a TURN server needs username and credential',
            ),
        )
        .default([]),
    })
    .prefault({}),
  hls: z
    .strictObject({
      enabled: z.boolean().default(true),
      part: duration.default(400).describe('target duration of a partial segment'),
      segment: duration.default(2000).describe('target duration of a segment; a keyframe starts each'),
      segments: z.number().int().min(3).max(60).default(8).describe('segments kept in the playlist'),
      idle: duration
        // Less than players take from one request to the next, and they find nothing; more than timers can wait.
        .refine((ms) => ms >= 1000 && ms <= 24 * 3_600_000, 'must be 1s to 24h')
        .default(30_000)
        .describe('keep muxing this long after the last request'),
    })
    .refine(({ part, segment }) => part >= 50 && part <= segment, {
      path: ['part'],
      message: 'must be at least 50ms and at most one segment',
    })
    .refine(({ segment }) => segment <= 30_000, { path: ['segment'], message: 'must be at most 30s' })
    .prefault({}),
  restorer: z
    .strictObject({
      provider: z
        .enum(['auto', 'cpu', 'webgpu', 'cuda', 'tensorrt'])
        .default('auto')
        .describe('tried first, and after it the slower ones of tensorrt, cuda, webgpu, cpu'),
      decode: z
        .enum(['auto', 'software', 'hardware'])
        .default('software')
        .describe(
          'auto = by NVDEC or VAAPI where ffmpeg lists it and a trial at the start works, else software; hardware = the same, and a warning where none works',
        ),
      encode: z
        .enum(['auto', 'software', 'hardware'])
        .default('software')
        .describe(
          'auto = by NVENC or VAAPI where a trial at the start works, else software; hardware = the same, and a warning where none works',
        ),
      models: z
        .string()
        .default('models')
        .describe('directory of model directories; relative to the project'),
      threads: z
        .number()
        .int()
        .min(1)
        .max(128)
        .optional()
        .describe('CPU threads of one inference; default: all cores'),
      devices: z
        .union([z.literal('auto'), z.array(z.number().int().min(0).max(63)).min(1).max(16)])
        .refine((devices) => devices === 'auto' || new Set(devices).size === devices.length, 'name each once')
        .default('auto')
        .describe('numbers of the GPUs to use, a restorer process each; auto = all of this host'),
    })
    .prefault({}),
  jobs: jobsSchema.prefault({}),
  log: z
    .strictObject({
      level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
      format: z.enum(['auto', 'json', 'pretty']).default('auto').describe('auto = pretty on a terminal'),
    })
    .prefault({}),
  defaults: streamSchema
    .omit({ source: true, title: true, origin: true, key: true })
    .partial()
    .optional()
    .describe('applied to every stream that does not say otherwise'),
  streams: z.record(streamName, streamSchema).default({}),
});

export type Config = z.output<typeof configSchema>;
export type ConfigInput = z.input<typeof configSchema>;
export type StreamConfig = z.output<typeof streamSchema>;
export type StreamConfigInput = z.input<typeof streamSchema>;
/** Settings of a stream to change; a `null` takes one back to its default. */
export type StreamPatch = { [K in keyof StreamConfigInput]?: StreamConfigInput[K] | null };
