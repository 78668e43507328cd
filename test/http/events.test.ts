import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { after, before, beforeEach, describe, it } from 'node:test';
import { WebSocket } from 'ws';
import { configSchema } from '../../src/config/schema.ts';
import type { ServerEvent } from '../../src/contracts/events.ts';
import { now } from '../../src/contracts/time.ts';
import { hashPassword, hashToken } from '../../src/http/secrets.ts';
import { jsonRequest, startServer, type TestServer } from './support.ts';

/** A client whose events can be awaited one by one. */
class Listener {
  readonly socket: WebSocket;
  readonly #events: ServerEvent[] = [];
  readonly #waiters: ((event: ServerEvent) => void)[] = [];

  constructor(url: string, options: { headers?: Record<string, string>; origin?: string } = {}) {
    this.socket = new WebSocket(url.replace('http', 'ws'), options);
    this.socket.on('message', (data) => {
      const event = JSON.parse(String(data)) as ServerEvent;
      const waiter = this.#waiters.shift();
      if (waiter) waiter(event);
      else this.#events.push(event);
    });
  }
  next(): Promise<ServerEvent> {
    const event = this.#events.shift();
    return event ? Promise.resolve(event) : new Promise((resolve) => this.#waiters.push(resolve));
  }
  async closed(): Promise<{ code: number; reason: string }> {
    const [code, reason] = (await once(this.socket, 'close')) as [number, Buffer];
    return { code, reason: String(reason) };
  }
  /** The HTTP status that answered instead of an upgrade. */
  async refused(): Promise<number> {
    const [, response] = (await once(this.socket, 'unexpected-response')) as [
      unknown,
      { statusCode: number; resume(): void },
    ];
    response.resume();
    this.socket.on('error', () => undefined);
    this.socket.terminate();
    return response.statusCode;
  }
}

describe('WS /events', { timeout: 120_000 }, () => {
  let server: TestServer;
  const open: Listener[] = [];
  const listen = (options?: { headers?: Record<string, string>; origin?: string }, path = '/events') => {
    const listener = new Listener(server.url + path, options);
    open.push(listener);
    return listener;
  };

  before(async () => {
    server = await startServer();
  });
  beforeEach(async () => {
    server.control.streams.clear();
    server.control.reported.length = 0;
    await server.control.create('gate', { source: 'demo' });
  });
  after(async () => {
    for (const { socket } of open) socket.terminate();
    await server.http.close();
  });

  it('starts with all streams, then says what changes', async () => {
    const listener = listen();
    const first = await listener.next();
    assert.deepEqual(first.type === 'streams' && first.streams.map(({ name }) => name), ['gate']);
    server.control.push('gate', { state: 'live', fps: 25 });
    const second = await listener.next();
    assert.ok(second.type === 'stream' && second.stream.state === 'live' && second.stream.fps === 25);
    await server.control.remove('gate');
    assert.deepEqual(await listener.next(), { type: 'removed', name: 'gate' });
  });

  it('answers a ping with the clock', async () => {
    const listener = listen();
    await listener.next();
    const before = now();
    listener.socket.send(JSON.stringify({ type: 'ping', t0: 12.5 }));
    const pong = await listener.next();
    assert.ok(pong.type === 'pong' && pong.t0 === 12.5);
    assert.ok(pong.now >= before && pong.now <= now());
  });

  it('answers it with the time of day too, which a suspended host goes on counting', async (t) => {
    const listener = listen();
    await listener.next();
    const before = now();
    t.mock.timers.enable({ apis: ['Date'], now: before + 3_600_000 });
    listener.socket.send(JSON.stringify({ type: 'ping', t0: 0 }));
    const pong = await listener.next();
    assert.ok(pong.type === 'pong');
    assert.equal(pong.wall, Date.now());
    assert.ok(pong.now >= before && pong.now <= now());
  });

  it('passes on latencies of streams that exist', async () => {
    const listener = listen();
    await listener.next();
    const say = (stream: string) =>
      listener.socket.send(JSON.stringify({ type: 'latency', stream, protocol: 'webrtc', ms: [120, 80.5] }));
    say('gone');
    say('gate');
    listener.socket.send(JSON.stringify({ type: 'ping', t0: 0 }));
    assert.equal((await listener.next()).type, 'pong');
    assert.deepEqual(server.control.reported, [{ stream: 'gate', protocol: 'webrtc', samples: [120, 80.5] }]);
  });

  for (const [what, message, code] of [
    ['no JSON', 'hello', 1008],
    ['an unknown type', '{"type":"shutdown"}', 1008],
    [
      'too many samples',
      JSON.stringify({ type: 'latency', stream: 'gate', protocol: 'hls', ms: Array(257).fill(1) }),
      1008,
    ],
    ['negative samples', '{"type":"latency","stream":"gate","protocol":"hls","ms":[-1]}', 1008],
    ['no numbers', '{"type":"latency","stream":"gate","protocol":"hls","ms":[null]}', 1008],
    ['an unknown protocol', '{"type":"latency","stream":"gate","protocol":"rtsp","ms":[1]}', 1008],
    ['binary', Buffer.from('{}'), 1003],
    ['a message too long', `{"type":"ping","t0":1,"x":"${'x'.repeat(9000)}"}`, 1009],
  ] as const) {
    it(`closes on ${what}`, async () => {
      const listener = listen();
      await listener.next();
      const closed = listener.closed();
      listener.socket.send(message);
      assert.equal((await closed).code, code);
      assert.deepEqual(server.control.reported, []);
    });
  }

  it('closes on a flood', async () => {
    const listener = listen();
    await listener.next();
    const closed = listener.closed();
    for (let i = 0; i < 200; i++) listener.socket.send('{"type":"ping","t0":1}');
    assert.deepEqual(await closed, { code: 1008, reason: 'at most 20 messages a second' });
  });

  it('lets a slow client skip to the newest state instead of queueing all', async () => {
    const listener = listen();
    await listener.next();
    listener.socket.pause();
    const cause = 'x'.repeat(100_000);
    // Far more than kernel buffers hold, all while the client reads nothing.
    for (let fps = 1; fps <= 400; fps++) {
      server.control.push('gate', { fps, cause });
      await new Promise(setImmediate);
    }
    listener.socket.resume();
    let received = 0;
    for (;;) {
      const event = await listener.next();
      assert.ok(event.type === 'stream');
      received++;
      if (event.stream.fps === 400) break;
    }
    assert.ok(received < 400, `received all ${received}`);
  });

  it('is at /events alone, for pages of its own', async () => {
    assert.equal(await listen({}, '/elsewhere').refused(), 404);
    assert.equal(await listen({ origin: 'https://evil.example' }).refused(), 403);
    assert.equal(await listen({ headers: { host: 'evil.example' } }).refused(), 403);
    const own = listen({ origin: server.url });
    assert.equal((await own.next()).type, 'streams');
  });

  it('lets go of who was refused, however long they stay', { timeout: 20_000 }, async () => {
    const { port } = new URL(server.url);
    const accepted = once(server.http.app.server, 'connection');
    const client = connect({ port: Number(port), host: '127.0.0.1', allowHalfOpen: true });
    client.resume();
    client.write(
      'GET /elsewhere HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    const [socket] = await accepted;
    await once(socket, 'close');
    client.destroy();
  });

  it('survives clients that vanish in the middle of the handshake', async () => {
    const { port } = new URL(server.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      'GET /events HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
    );
    socket.resetAndDestroy();
    await once(socket, 'close');
    assert.equal((await listen().next()).type, 'streams');
  });

  it('behind a trusted proxy counts the guesses of each client, and behind none believes nobody', async () => {
    const auth = { tokens: [{ name: 'one', token: hashToken('secret') }] };
    for (const trustedProxies of [['127.0.0.0/8', '203.0.113.9'], []]) {
      const guarded = await startServer({ config: { auth, http: { trustedProxies } } });
      try {
        const guess = (client: string, token: string) => {
          const headers = { 'x-forwarded-for': `198.51.100.1, ${client}, 203.0.113.9` };
          return new Listener(`${guarded.url}/events?token=${token}`, { headers }).refused();
        };
        for (let i = 0; i < 10; i++) assert.equal(await guess('203.0.113.1', `guess-${i}`), 401);
        assert.equal(await guess('203.0.113.1', 'one more'), 429);
        assert.equal(await guess('203.0.113.2', 'another'), trustedProxies.length > 0 ? 401 : 429);
      } finally {
        await guarded.http.close();
      }
    }
  });

  it('with auth: shows each caller what they may read, and restarts when the users change', async () => {
    const config = {
      auth: {
        users: [{ name: 'ada', password: await hashPassword('pw') }],
        tokens: [{ name: 'one', token: hashToken('secret'), streams: ['gate'] }],
      },
    };
    const secured = await startServer({ config });
    try {
      await secured.control.create('gate', { source: 'demo' });
      await secured.control.create('yard', { source: 'demo' });
      assert.equal(await new Listener(`${secured.url}/events`).refused(), 401);
      assert.equal(await new Listener(`${secured.url}/events?token=guess`).refused(), 401);

      const one = new Listener(`${secured.url}/events?token=secret`, { origin: 'https://home.example' });
      const first = await one.next();
      assert.deepEqual(first.type === 'streams' && first.streams.map(({ name }) => name), ['gate']);
      secured.control.push('yard', { fps: 1 });
      secured.control.push('gate', { fps: 2 });
      const second = await one.next();
      assert.ok(second.type === 'stream' && second.stream.name === 'gate');
      one.socket.send('{"type":"latency","stream":"yard","protocol":"hls","ms":[1]}');
      one.socket.send('{"type":"ping","t0":1}');
      assert.equal((await one.next()).type, 'pong');
      assert.deepEqual(secured.control.reported, []);

      const login = await fetch(
        `${secured.url}/api/v1/login`,
        jsonRequest('POST', { user: 'ada', password: 'pw' }),
      );
      await login.text();
      const [cookie = ''] = (login.headers.get('set-cookie') ?? '').split(';');
      const page = new Listener(`${secured.url}/events`, { headers: { cookie }, origin: secured.url });
      assert.equal((await page.next()).type, 'streams');
      const stolen = new Listener(`${secured.url}/events`, {
        headers: { cookie },
        origin: 'https://evil.example',
      });
      assert.equal(await stolen.refused(), 403);

      const [oneClosed, pageClosed] = [one.closed(), page.closed()];
      secured.http.reconfigure(configSchema.parse({ auth: { tokens: config.auth.tokens } }));
      assert.deepEqual([(await oneClosed).code, (await pageClosed).code], [1012, 1012]);
    } finally {
      await secured.http.close();
    }
  });
});
