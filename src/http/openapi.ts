import { z } from 'zod';
import { RENDITIONS } from '../contracts/media.ts';
import {
  loginSchema,
  modelSchema,
  newStreamSchema,
  problemSchema,
  statusSchema,
  streamPatchSchema,
  TRACE_SECONDS,
} from './schemas.ts';

type Json = Record<string, unknown>;

/** One route of the API in words; `openapi()` makes OpenAPI of it and the docs page a section. */
interface Operation {
  summary: string;
  description?: string;
  tag: 'streams' | 'play' | 'session' | 'gateway';
  /** Whether auth does not apply. */
  open?: boolean;
  query?: Json;
  headers?: Json;
  /** Media type and schema of the request body. */
  body?: { type: string; schema: Json };
  /** Status, what it means, and the media type and schema of its body. */
  answers: Record<number, { says: string; type?: string; schema?: Json }>;
}

const JSON_TYPE = 'application/json';
const SDP = 'application/sdp';
const PLAYLIST = 'application/vnd.apple.mpegurl';
const TEXT: Json = { type: 'string' };
const BINARY: Json = {};

const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
const list = (name: string): Json => ({ type: 'array', items: ref(name) });
const json = (says: string, schema: Json) => ({ says, type: JSON_TYPE, schema });
const rendition: Json = { rendition: { type: 'string', enum: [...RENDITIONS], default: 'restored' } };
const ifMatch: Json = { 'If-Match': { ...TEXT, description: 'ETag of the session; "*" restarts ICE' } };

const PATHS: Record<string, Record<string, Operation>> = {
  '/api/v1/streams': {
    get: {
      tag: 'streams',
      summary: 'List the streams the caller may watch',
      answers: { 200: json('All of them', list('Stream')) },
    },
    post: {
      tag: 'streams',
      summary: 'Add a stream',
      description: 'Written to the configuration file. Files and lavfi sources are refused here.',
      body: { type: JSON_TYPE, schema: ref('NewStream') },
      answers: { 201: json('Added', ref('Stream')) },
    },
  },
  '/api/v1/streams/{name}': {
    get: {
      tag: 'streams',
      summary: 'One stream and its settings',
      answers: {
        200: json('The stream; `settings` as configured, secrets as ***', {
          allOf: [ref('Stream'), { type: 'object', properties: { settings: ref('StreamSettings') } }],
        }),
      },
    },
    patch: {
      tag: 'streams',
      summary: 'Change settings of a stream',
      description:
        'Written to the configuration file. model, strength and smoothing change without a break in the picture.',
      body: { type: JSON_TYPE, schema: ref('StreamSettings') },
      answers: { 200: json('Changed', ref('Stream')) },
    },
    delete: {
      tag: 'streams',
      summary: 'Remove a stream',
      answers: { 204: { says: 'Removed, from the file too' } },
    },
  },
  '/api/v1/streams/{name}/trace': {
    get: {
      tag: 'streams',
      summary: 'Stage timings of every frame of the last seconds',
      description:
        'In the Trace Event Format: save it and open it in ui.perfetto.dev or chrome://tracing. One slice a frame, and one a stage of it.',
      query: { seconds: { type: 'integer', minimum: 1, maximum: TRACE_SECONDS, default: TRACE_SECONDS } },
      answers: {
        200: json('The trace', {
          type: 'object',
          properties: { traceEvents: { type: 'array', items: { type: 'object' } } },
        }),
      },
    },
  },
  '/api/v1/models': {
    get: {
      tag: 'gateway',
      summary: 'Models in models/',
      answers: { 200: json('All of them', list('Model')) },
    },
  },
  '/api/v1/time': {
    get: {
      tag: 'gateway',
      open: true,
      summary: 'The gateway’s clock',
      answers: { 200: json('Unix time in ms', { type: 'object', properties: { now: { type: 'number' } } }) },
    },
  },
  '/api/v1/session': {
    get: {
      tag: 'session',
      open: true,
      summary: 'Who am I, and is auth on',
      answers: { 200: json('The session', ref('Session')) },
    },
  },
  '/api/v1/login': {
    post: {
      tag: 'session',
      open: true,
      summary: 'Sign in; sets a session cookie',
      body: { type: JSON_TYPE, schema: ref('Login') },
      answers: { 200: json('Signed in', ref('Session')) },
    },
  },
  '/api/v1/logout': {
    post: {
      tag: 'session',
      open: true,
      summary: 'Sign out',
      answers: { 204: { says: 'The cookie is cleared' } },
    },
  },
  '/whep/{name}': {
    post: {
      tag: 'play',
      summary: 'Play over WebRTC (WHEP, draft-ietf-wish-whep-04)',
      query: rendition,
      body: { type: SDP, schema: TEXT },
      answers: {
        201: { says: 'SDP answer; Location names the session, ETag its ICE state', type: SDP, schema: TEXT },
      },
    },
    head: { tag: 'play', summary: 'Is there such a stream', answers: { 200: { says: 'Yes' } } },
    options: {
      tag: 'play',
      open: true,
      summary: 'What the endpoint accepts',
      answers: { 204: { says: 'Accept-Post; with CORS headers for other sites’ players' } },
    },
  },
  '/whep/{name}/sessions/{id}': {
    patch: {
      tag: 'play',
      summary: 'Trickle ICE candidates, or restart ICE',
      headers: ifMatch,
      body: { type: 'application/trickle-ice-sdpfrag', schema: TEXT },
      answers: {
        200: {
          says: 'ICE restarted: new credentials and ETag',
          type: 'application/trickle-ice-sdpfrag',
          schema: TEXT,
        },
        204: { says: 'Candidates taken' },
      },
    },
    delete: { tag: 'play', summary: 'Stop playing', answers: { 200: { says: 'Stopped' } } },
    options: {
      tag: 'play',
      open: true,
      summary: 'What the session accepts',
      answers: { 204: { says: 'Accept-Patch; with CORS headers' } },
    },
  },
  '/hls/{name}/index.m3u8': {
    get: {
      tag: 'play',
      summary: 'Play over HLS, low latency or plain (draft-pantos-hls-rfc8216bis)',
      description:
        'Where a player cannot send headers, add ?token=; it follows into every URL of the playlists.',
      query: { ...rendition, token: TEXT },
      answers: { 200: { says: 'Multivariant playlist', type: PLAYLIST, schema: TEXT } },
    },
  },
  '/hls/{name}/{rendition}/media.m3u8': {
    get: {
      tag: 'play',
      summary: 'Media playlist: blocking reload and delta updates',
      query: {
        _HLS_msn: { type: 'integer' },
        _HLS_part: { type: 'integer' },
        _HLS_skip: { type: 'string', enum: ['YES', 'v2'] },
        token: TEXT,
      },
      answers: { 200: { says: 'Media playlist', type: PLAYLIST, schema: TEXT } },
    },
  },
  '/hls/{name}/{rendition}/{file}': {
    get: {
      tag: 'play',
      summary: 'Initialisation segment, segment or part',
      query: { token: TEXT },
      answers: { 200: { says: 'fMP4', type: 'video/mp4', schema: BINARY } },
    },
  },
  '/snapshot/{name}.jpg': {
    get: {
      tag: 'play',
      summary: 'The newest picture',
      query: rendition,
      answers: { 200: { says: 'JPEG', type: 'image/jpeg', schema: BINARY } },
    },
  },
  '/events': {
    get: {
      tag: 'gateway',
      summary: 'WebSocket: what changes, as it happens',
      description:
        'Server: {type: streams | stream | removed | pong, ...}. Client: {type: "ping", t0} and {type: "latency", stream, protocol, ms: [...], pts?: [...]}. A slow client gets the newest state of each stream.',
      query: { token: TEXT },
      answers: { 101: { says: 'Upgraded' } },
    },
  },
  '/health': {
    get: {
      tag: 'gateway',
      open: true,
      summary: 'Is the process alive',
      answers: { 200: json('Yes', { type: 'object' }) },
    },
  },
  '/ready': {
    get: {
      tag: 'gateway',
      open: true,
      summary: 'Can it serve',
      answers: {
        200: json('Yes', { type: 'object' }),
        503: json('Not yet; `reason` says why', { type: 'object' }),
      },
    },
  },
  '/metrics': {
    get: {
      tag: 'gateway',
      summary: 'Prometheus metrics',
      answers: { 200: { says: 'Metrics', type: 'text/plain', schema: TEXT } },
    },
  },
};

function component(schema: z.ZodType): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return rest;
}

function parameters(path: string, { query = {}, headers = {} }: Operation): Json[] {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    in: 'path',
    name,
    required: true,
    schema: TEXT,
  }));
  const of = (place: string, known: Json) =>
    Object.entries(known).map(([name, schema]) => ({ in: place, name, schema }));
  return [...named, ...of('query', query), ...of('header', headers)];
}

function operation(path: string, method: string, operation: Operation): Json {
  const { tag, summary, description, body, answers, open = false } = operation;
  const content = (type?: string, schema?: Json) =>
    type === undefined ? {} : { content: { [type]: { schema } } };
  const responses = Object.entries(answers).map(([status, { says, type, schema }]) => [
    status,
    { description: says, ...content(type, schema) },
  ]);
  return {
    tags: [tag],
    operationId: `${method}${path.replaceAll(/[^A-Za-z]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(open ? { security: [] } : {}),
    parameters: parameters(path, operation),
    ...(body ? { requestBody: { required: true, ...content(body.type, body.schema) } } : {}),
    responses: { ...Object.fromEntries(responses), default: { $ref: '#/components/responses/Problem' } },
  };
}

/** The whole HTTP API as an OpenAPI 3.1 document; schemas come from the ones that check requests. */
export function openapi(): Json & {
  paths: Record<string, Record<string, Json>>;
  components: Json & { schemas: Record<string, Json> };
} {
  const session = z
    .object({
      auth: z.boolean().describe('whether the gateway asks who you are'),
      user: z
        .object({ name: z.string(), role: z.enum(['read', 'admin']), streams: z.array(z.string()) })
        .optional(),
    })
    .describe('Who is asking');
  const paths = Object.entries(PATHS).map(([path, operations]) => [
    path,
    Object.fromEntries(
      Object.entries(operations).map(([method, one]) => [method, operation(path, method, one)]),
    ),
  ]);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Clearway',
      version: '1',
      description:
        'Real-time stream restoration gateway. Errors are problem+json (RFC 9457) with a stable `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }, { basic: [] }, { cookie: [] }],
    paths: Object.fromEntries(paths),
    components: {
      schemas: {
        Stream: component(statusSchema),
        NewStream: component(newStreamSchema),
        StreamSettings: component(streamPatchSchema),
        Model: component(modelSchema),
        Login: component(loginSchema),
        Session: component(session),
        Problem: component(problemSchema),
      },
      responses: {
        Problem: {
          description: 'What went wrong and what to do about it',
          content: { 'application/problem+json': { schema: ref('Problem') } },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'clearway_session' },
      },
    },
  };
}
