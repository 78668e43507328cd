import { EventEmitter } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { type WebSocket, WebSocketServer } from 'ws';
import type { ModelInfo } from '../../src/contracts/control.ts';
import type { ClientEvent, ServerEvent } from '../../src/contracts/events.ts';
import type { StreamStatus } from '../../src/contracts/stream.ts';
import type { MockMedia } from './mock-media.ts';

const CSP =
  "default-src 'self'; media-src 'self' blob:; worker-src 'self' blob:; img-src 'self' data: blob:; connect-src 'self' ws: wss:";
const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
  '.m3u8': 'application/vnd.apple.mpegurl',
  '.mp4': 'video/mp4',
  '.m4s': 'video/mp4',
};

type Body = Record<string, unknown>;
type Report = Extract<ClientEvent, { type: 'latency' }>;

/** Just enough of the gateway for its page: static files under the real CSP, the API, `/events`, WHEP and HLS. */
export class MockGateway implements AsyncDisposable {
  readonly streams = new Map<string, StreamStatus>();
  readonly settings = new Map<string, Body>();
  models: ModelInfo[] = [];
  session: Body = { auth: false };
  /** What pages ask and say, as it happens. */
  readonly heard = new EventEmitter<{ request: [string]; report: [Report] }>();
  /** Requests in the order they came, `METHOD /path`, PATCH bodies appended. */
  readonly requests: string[] = [];
  /** Answers instead of the usual for paths that begin like this. */
  readonly refuse = new Map<string, { status: number; body: Body }>();
  media: MockMedia | undefined;
  /** Its clock minus the viewers', ms. */
  ahead = 0;
  /** How long its host was suspended, ms: the clock of its pictures stood still. */
  suspended = 0;
  snapshot: Buffer | undefined;
  readonly #server = createServer((request, response) => {
    this.#route(request, response).catch(() => response.destroy());
  });
  readonly #events = new WebSocketServer({ noServer: true });
  readonly #dist: string;
  #sessions = 0;

  /** `dist`: the page as Vite built it. */
  constructor(dist: string) {
    this.#dist = dist;
    this.#server.on('upgrade', (request, socket, head) => {
      this.#events.handleUpgrade(request, socket, head, (client) => this.#greet(client));
    });
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(port, '127.0.0.1', done));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Changes a stream and tells every page. */
  put(status: StreamStatus): void {
    this.streams.set(status.name, status);
    this.broadcast({ type: 'stream', stream: status });
  }

  broadcast(event: ServerEvent): void {
    for (const client of this.#events.clients) client.send(JSON.stringify(event));
  }

  /** Cuts every connection and stops listening; `listen` with the same port brings it back. */
  async stop(): Promise<void> {
    for (const client of this.#events.clients) client.terminate();
    const closed = new Promise((done) => this.#server.close(done));
    this.#server.closeAllConnections();
    await closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#server.listening) await this.stop();
  }

  #greet(client: WebSocket): void {
    client.send(
      JSON.stringify({ type: 'streams', streams: [...this.streams.values()] } satisfies ServerEvent),
    );
    client.on('message', (data) => {
      const event = JSON.parse(String(data)) as ClientEvent;
      if (event.type === 'latency') this.heard.emit('report', event);
      else {
        const wall = Date.now() + this.ahead;
        const now = wall - this.suspended;
        client.send(JSON.stringify({ type: 'pong', t0: event.t0, now, wall } satisfies ServerEvent));
      }
    });
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://mock');
    const method = request.method ?? 'GET';
    const body = (await request.toArray()).join('');
    const line = `${method} ${pathname}${method === 'PATCH' ? ` ${body}` : ''}`;
    this.requests.push(line);
    this.heard.emit('request', line);
    for (const [prefix, { status, body: problem }] of this.refuse) {
      if (!`${method} ${pathname}`.startsWith(prefix)) continue;
      return send(response, status, JSON.stringify(problem), 'application/problem+json');
    }
    if (pathname.startsWith('/api/')) return this.#api(method, pathname, body, response);
    if (pathname.startsWith('/whep/')) return this.#whep(method, pathname, body, response);
    if (pathname.startsWith('/snapshot/')) {
      if (!this.snapshot) return send(response, 503, '{}', 'application/problem+json');
      return send(response, 200, this.snapshot, 'image/jpeg');
    }
    if (pathname.startsWith('/hls/') && this.media) {
      const file = pathname.split('/').at(-1) ?? '';
      return this.#file(join(this.media.hls, file), response, searchParams.get('rendition') ?? '');
    }
    const file = /\.\w+$/.test(pathname) ? pathname : '/index.html';
    return this.#file(join(this.#dist, file), response);
  }

  async #file(path: string, response: ServerResponse, note?: string): Promise<void> {
    if (note) this.requests.push(`HLS ${note}`);
    const data = await readFile(path).catch(() => undefined);
    if (data === undefined) return send(response, 404, '{}', 'application/problem+json');
    response.setHeader('content-security-policy', CSP);
    send(response, 200, data, TYPES[extname(path)] ?? 'application/octet-stream');
  }

  async #whep(method: string, pathname: string, body: string, response: ServerResponse): Promise<void> {
    if (method === 'DELETE') return send(response, 200, '');
    if (method !== 'POST' || !this.media) return send(response, 404, '{}', 'application/problem+json');
    const { sdp } = await this.media.answer(body);
    response.setHeader('location', `${pathname}/${++this.#sessions}`);
    response.setHeader('etag', '"1"');
    send(response, 201, sdp, 'application/sdp');
  }

  #api(method: string, pathname: string, text: string, response: ServerResponse) {
    const body = (text === '' ? {} : JSON.parse(text)) as Body;
    const [, , , kind, name = ''] = pathname.split('/');
    const reply = (value: unknown, status = 200): void => send(response, status, JSON.stringify(value));
    if (kind === 'session') return reply(this.session);
    if (kind === 'models') return reply(this.models);
    if (kind === 'rtmp') return reply({ enabled: true, host: '0.0.0.0', port: 1935 });
    if (kind === 'login') {
      this.session = { auth: true, user: { name: body.user, role: 'admin' } };
      return reply(this.session);
    }
    if (kind === 'logout') {
      this.session = { auth: true };
      return reply({});
    }
    if (method === 'POST') {
      const title = body.title === undefined ? {} : { title: String(body.title) };
      const cause = 'connecting to the camera';
      const created = status(String(body.name), { ...title, state: 'connecting', cause });
      this.settings.set(created.name, body);
      this.put(created);
      return reply(created, 201);
    }
    if (name === '') return reply([...this.streams.values()]);
    const known = this.streams.get(name);
    if (known === undefined) return reply({ detail: 'no such stream' }, 404);
    if (method === 'DELETE') {
      this.streams.delete(name);
      this.broadcast({ type: 'removed', name });
      return send(response, 204, '');
    }
    if (method === 'PATCH') {
      this.settings.set(name, { ...this.settings.get(name), ...body });
      const { restoration, title, ...rest } = known;
      const now = body.title === undefined ? title : body.title;
      this.put({
        ...rest,
        ...(typeof now === 'string' ? { title: now } : {}),
        ...(restoration ? { restoration: { ...restoration, ...body } } : {}),
      });
      return reply(this.streams.get(name));
    }
    reply({ ...known, settings: { source: known.source, transport: 'auto', ...this.settings.get(name) } });
  }
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  type = 'application/json',
): void {
  response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
}

/** A stream's status with likely figures. */
export function status(name: string, over: Partial<StreamStatus> = {}): StreamStatus {
  const live = over.state === undefined || over.state === 'live' || over.state === 'degraded';
  return {
    name,
    state: 'live',
    cause: 'frames are flowing',
    since: new Date(Date.now() - 3_600_000).toISOString(),
    reconnects: 1,
    source: `rtsp://***@192.168.1.20/${name}`,
    onDemand: false,
    fps: live ? 25 : 0,
    frames: live
      ? { restored: 89_640, passthrough: 214, dropped: 31 }
      : { restored: 0, passthrough: 0, dropped: 0 },
    viewers: { webrtc: live ? 2 : 0, hls: 0 },
    ...(live
      ? {
          input: { width: 640, height: 360, codec: 'h264', fps: 25, hasAudio: true, bitrate: 842_000 },
          restoration: {
            model: 'lite',
            provider: 'cpu',
            width: 640,
            height: 360,
            strength: 1,
            smoothing: 0.5,
            reason: 'lite at 360 lines: 21 ms a frame on this host, 25 fps needs less than 40 ms.',
            step: 0,
          },
          latency: {
            decode: { p50: 6.2, p95: 9.8, max: 14 },
            queue: { p50: 1.4, p95: 4.1, max: 12 },
            restore: { p50: 21.3, p95: 29.6, max: 44 },
            smooth: { p50: 2.2, p95: 3.4, max: 5 },
            encode: { p50: 5.1, p95: 8.7, max: 15 },
            total: { p50: 38.4, p95: 57.2, max: 82 },
          },
        }
      : {}),
    ...over,
  };
}

export const MODELS: ModelInfo[] = [
  {
    name: 'lite',
    kind: 'restorer',
    description: 'denoise and deblock on two cores',
    version: '1',
    window: { past: 1, future: 0 },
  },
  {
    name: 'large',
    kind: 'restorer',
    description: 'most detail, needs a GPU',
    version: '1',
    window: { past: 2, future: 1 },
  },
  { name: 'smoother', kind: 'smoother', description: '', version: '1', window: { past: 1, future: 0 } },
];
