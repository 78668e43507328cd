import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import context from 'node-media-server/src/core/context.js';
import { Attempts } from '../../src/http/attempts.ts';
import { RtmpServer } from '../../src/ingest/rtmp.ts';
import { createLogger, type Logger, silentLogger } from '../../src/telemetry/log.ts';
import { decodeFrames } from '../support/decode.ts';
import { freePort } from '../support/ports.ts';
import { AUDIO, RawRtmp } from '../support/raw-rtmp.ts';
import { pushRtmp } from '../support/rtmp-push.ts';

const STREAMS: Record<string, { key?: string }> = { door: { key: 'let me in' }, yard: {} };

async function startServer({
  lookup = (name) => STREAMS[name],
  logger = silentLogger,
  ...options
}: {
  lookup?: (name: string) => { key?: string } | undefined;
  logger?: Logger;
  patience?: number;
} = {}): Promise<RtmpServer & AsyncDisposable> {
  const server = new RtmpServer({
    config: { host: '127.0.0.1', port: 0 },
    lookup,
    attempts: new Attempts(3, 60_000),
    logger,
    ...options,
  });
  await server.listen();
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.close() });
}

async function expectRefused(url: string): Promise<void> {
  await using push = pushRtmp(url);
  const exit = await push.closed;
  assert.notEqual(exit.code, 0, 'the publisher was let in');
}

test('a push with the right key is published, decoded by our own player and gone with its publisher', async () => {
  await using server = await startServer();
  const published = once(server, 'published');
  const push = pushRtmp(server.pushUrl('door', 'let me in'), { audio: 'aac' });
  await using _push = push;
  assert.deepEqual(await published, ['door']);
  assert.equal(server.isPublishing('door'), true);
  const { frames, info, audio } = await decodeFrames(server.playUrl('door'), 30);
  assert.deepEqual([info.width, info.height, info.codec, info.hasAudio], [320, 240, 'h264', true]);
  assert.equal(frames.length, 30);
  assert.ok(audio.length > 0);
  const unpublished = once(server, 'unpublished');
  await push.stop();
  assert.deepEqual(await unpublished, ['door']);
  assert.equal(server.isPublishing('door'), false);
});

test('a wrong key, no key, an unknown name and another application are refused', async () => {
  await using server = await startServer();
  await expectRefused(server.pushUrl('door', 'let me out'));
  await expectRefused(server.pushUrl('door'));
  await expectRefused(server.pushUrl('nobody'));
  await expectRefused(server.pushUrl('yard').replace('/live/', '/vod/'));
  assert.equal(server.isPublishing('door'), false);
  assert.equal(context.broadcasts.size, 0, 'a refused publisher leaves nothing behind');
});

test('a second publisher is refused while the first goes on', async () => {
  await using server = await startServer();
  const published = once(server, 'published');
  await using _first = pushRtmp(server.pushUrl('yard'));
  await published;
  await expectRefused(server.pushUrl('yard'));
  const { frames } = await decodeFrames(server.playUrl('yard'), 10);
  assert.equal(frames.length, 10);
});

test('the same publisher may come back at once, and players see its new pictures only', async () => {
  await using server = await startServer();
  let published = once(server, 'published');
  const first = pushRtmp(server.pushUrl('yard'), { size: '320x240' });
  await using _first = first;
  await published;
  await decodeFrames(server.playUrl('yard'), 3);
  const unpublished = once(server, 'unpublished');
  await first.stop();
  await unpublished;
  published = once(server, 'published');
  await using _second = pushRtmp(server.pushUrl('yard'), { size: '160x120' });
  await published;
  const { frames } = await decodeFrames(server.playUrl('yard'), 5);
  assert.deepEqual(
    frames.map(({ width }) => width),
    [160, 160, 160, 160, 160],
  );
});

test('a publisher goes with its key, or with its stream; the others stay', async () => {
  const streams: typeof STREAMS = { door: { key: 'old' }, shed: {}, yard: {} };
  await using server = await startServer({ lookup: (name) => streams[name] });
  await using stack = new AsyncDisposableStack();
  for (const [name, { key }] of Object.entries(streams)) {
    const published = once(server, 'published');
    stack.use(pushRtmp(server.pushUrl(name, key)));
    await published;
  }
  const gone: string[] = [];
  server.on('unpublished', (name) => gone.push(name));
  streams.door = { key: 'new' };
  delete streams.shed;
  server.recheck();
  assert.deepEqual(gone, ['door', 'shed']);
  assert.equal(server.isPublishing('yard'), true);
  await expectRefused(server.pushUrl('door', 'old'));
  const published = once(server, 'published');
  stack.use(pushRtmp(server.pushUrl('door', 'new')));
  await published;
});

test('a name that no stream may have is refused, also where any name is taken', async () => {
  await using server = await startServer({ lookup: () => ({}) });
  for (const name of ['x.y', '_under', 'a'.repeat(65), 'n"}{', '__proto__', '%1b[31m'])
    await expectRefused(server.pushUrl(name));
  assert.equal(context.broadcasts.size, 0);
});

test('a key that was guessed wrong too often is no longer taken from there, and the other streams are', async () => {
  const lines = new PassThrough();
  await using server = await startServer({ logger: createLogger({ level: 'warn', format: 'json' }, lines) });
  for (let guess = 0; guess < 3; guess++) await expectRefused(server.pushUrl('door', String(guess)));
  await expectRefused(server.pushUrl('door', 'let me in'));
  const published = once(server, 'published');
  await using _push = pushRtmp(server.pushUrl('yard'));
  assert.deepEqual(await published, ['yard']);
  assert.equal(String(lines.read()).match(/PUBLISHER_REFUSED/g)?.length, 3, 'refusals that are logged');
});

test('who trickles a handshake is cut off; a publisher may take its time', async () => {
  await using server = await startServer({ patience: 2000 });
  const published = once(server, 'published');
  await using _push = pushRtmp(server.pushUrl('yard'));
  await published;
  const socket = connect(server.port, '127.0.0.1')
    .on('error', () => {})
    .resume();
  const trickle = setInterval(() => socket.write('\x03'), 50).unref();
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(trickle);
  assert.equal(server.isPublishing('yard'), true);
});

test('who takes every connection keeps nobody of this host out', { timeout: 60_000 }, async () => {
  await using server = await startServer({ patience: 600_000 });
  const strangers = Array.from({ length: 257 }, () =>
    connect({ port: server.port, host: '127.0.0.1', localAddress: '127.0.0.2' })
      .on('error', () => {})
      .resume(),
  );
  await Promise.race(strangers.map((socket) => new Promise((resolve) => socket.once('close', resolve))));
  assert.equal(strangers.filter(({ closed }) => closed).length, 1, 'one too many');
  const published = once(server, 'published');
  await using _push = pushRtmp(server.pushUrl('yard'));
  await published;
});

test('nobody plays without the token of this process', async () => {
  await using server = await startServer();
  const published = once(server, 'published');
  await using _push = pushRtmp(server.pushUrl('yard'));
  await published;
  const { error } = await decodeFrames(server.playUrl('yard').replace(/token=.*/, 'token=guess'), 1);
  assert.ok(error, 'the player was let in');
});

test('strangers who send nonsense are cut off and the server goes on', async () => {
  await using server = await startServer();
  const handshake = Buffer.alloc(1537, 3);
  const tails = [
    // A message that claims 16 MB, an AMF command that ends early, a chunk size without a value.
    Buffer.from('03000000ffffff1400000000', 'hex'),
    Buffer.from('0300000000000c140000000002000763', 'hex'),
    Buffer.concat([Buffer.from('030000000000041400000000', 'hex'), Buffer.from('02ffff63')]),
    Buffer.from('020000000000000100000000', 'hex'),
  ];
  for (const tail of tails) {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume();
    socket.end(Buffer.concat([handshake, Buffer.alloc(1536, 1), tail, Buffer.alloc(64, 0xff)]));
    await once(socket, 'close');
  }
  const published = once(server, 'published');
  await using _push = pushRtmp(server.pushUrl('yard'));
  await published;
});

test('a publisher of fifty days, whose clock of 32 bits begins anew, goes on', {
  timeout: 30_000,
}, async () => {
  await using server = await startServer();
  const published = once(server, 'published');
  using publisher = new RawRtmp(server.pushUrl('yard'), 'publish');
  await published;
  using player = new RawRtmp(server.playUrl('yard'), 'play');
  await player.until('NetStream.Play.Start');
  const sound = (what: string) => Buffer.concat([Buffer.from([0xaf, 1]), Buffer.from(what)]);
  publisher.send(4, AUDIO, 2 ** 32 - 20, sound('before'));
  await player.until('before');
  publisher.sendLater(4, AUDIO, 23, sound('after'));
  await player.until('after');
});

test('a publisher that begins ever more large messages is cut off', { timeout: 30_000 }, async () => {
  const lines = new PassThrough({ encoding: 'utf8' });
  await using server = await startServer({ logger: createLogger({ level: 'warn', format: 'json' }, lines) });
  const published = once(server, 'published');
  using publisher = new RawRtmp(server.pushUrl('yard'), 'publish');
  await published;
  for (const stream of [10, 11, 12]) publisher.send(stream, AUDIO, 0, Buffer.alloc(65_536), 8 << 20);
  const [line] = await once(lines, 'data');
  assert.match(line, /RTMP connection refused: .*too much/);
});

test('a port in use is an error with its code, not the end of the process', async () => {
  const port = await freePort();
  const other = createServer().listen(port, '127.0.0.1');
  await once(other, 'listening');
  const server = new RtmpServer({
    config: { host: '127.0.0.1', port },
    lookup: () => undefined,
    attempts: new Attempts(10, 60_000),
    logger: createLogger({ level: 'silent', format: 'json' }),
  });
  await assert.rejects(server.listen(), { code: 'CLEARWAY_PORT_IN_USE' });
  await server.close();
  other.close();
});

test('close ends publishers and players and leaves no session', async () => {
  const server = await startServer();
  const published = once(server, 'published');
  await using push = pushRtmp(server.pushUrl('yard'));
  await published;
  await server.close();
  await push.closed;
  assert.equal(context.sessions.size, 0);
  assert.equal(context.broadcasts.size, 0);
});
