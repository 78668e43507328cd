import { RENDITIONS } from '../../contracts/media.ts';
import { TRACE_SECONDS } from '../schemas.ts';
import { BINARY, body, JSON_TYPE, type Json, json, list, type Paths, ref, TEXT } from './operation.ts';

const SDP = 'application/sdp';
const PLAYLIST = 'application/vnd.apple.mpegurl';
const rendition: Json = { rendition: { type: 'string', enum: [...RENDITIONS], default: 'restored' } };
const ifMatch: Json = { 'If-Match': { ...TEXT, description: 'ETag of the session; "*" restarts ICE' } };

/** Streams, players, sessions and the gateway itself. */
export const GATEWAY_PATHS: Paths = {
  '/api/v1/streams': {
    get: {
      tag: 'streams',
      summary: 'List the streams the caller may watch',
      answers: { 200: json('All of them', list('Stream')) },
    },
    post: {
      tag: 'streams',
      summary: 'Add a stream',
      description:
        'Written to the configuration file, with `origin: api`. Files, lavfi, link-local and cloud metadata addresses are refused as sources.',
      body: { [JSON_TYPE]: { schema: ref('NewStream') } },
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
        'Written to the configuration file; of a stream that is not in it (the demo, a push that rtmp.allowAny let in) kept until the next start. model, height, strength and smoothing change without a break in the picture.',
      body: { [JSON_TYPE]: { schema: ref('StreamPatch') } },
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
      query: {
        seconds: {
          ...{ type: 'integer', minimum: 1, maximum: TRACE_SECONDS, default: TRACE_SECONDS },
          description: `how far back, up to ${TRACE_SECONDS}`,
        },
      },
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
  '/api/v1/rtmp': {
    get: {
      tag: 'gateway',
      summary: 'Where RTMP pushes are taken',
      answers: { 200: json('Address and port', ref('Rtmp')) },
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
      body: { [JSON_TYPE]: { schema: ref('Login') } },
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
      body: { [SDP]: { schema: TEXT } },
      answers: {
        201: body('SDP answer; Location names the session, ETag its ICE state', SDP, TEXT),
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
      body: { 'application/trickle-ice-sdpfrag': { schema: TEXT } },
      answers: {
        200: body('ICE restarted: new credentials and ETag', 'application/trickle-ice-sdpfrag', TEXT),
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
      answers: { 200: body('Multivariant playlist', PLAYLIST, TEXT) },
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
      answers: { 200: body('Media playlist', PLAYLIST, TEXT) },
    },
  },
  '/hls/{name}/{rendition}/{file}': {
    get: {
      tag: 'play',
      summary: 'Initialisation segment, segment or part',
      query: { token: TEXT },
      answers: { 200: body('fMP4', 'video/mp4', BINARY) },
    },
  },
  '/snapshot/{name}.jpg': {
    get: {
      tag: 'play',
      summary: 'The newest picture',
      query: rendition,
      answers: { 200: body('JPEG', 'image/jpeg', BINARY) },
    },
  },
  '/events': {
    get: {
      tag: 'gateway',
      summary: 'WebSocket: what changes, as it happens',
      description:
        'Server: {type: streams | stream | removed | jobs | job | job-removed | pong, ...}. Client: {type: "ping", t0} and {type: "latency", stream, protocol, ms: [...], pts?: [...]}. A slow client gets the newest state of each stream and job.',
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
      answers: { 200: body('Metrics', 'text/plain', TEXT) },
    },
  },
};
