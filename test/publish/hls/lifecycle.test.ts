import assert from 'node:assert/strict';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import type { PublishedStream, Sink } from '../../../src/contracts/publish.ts';
import type { StreamStatus } from '../../../src/contracts/stream.ts';
import { createH264Source } from '../../support/h264-source.ts';
import { parsePlaylist } from './playlist-checker.ts';
import { type HlsServer, startHls } from './server.ts';

const QUICK = { part: 200, segment: 1000, segments: 3 };
const MEDIA = 'test/restored/media.m3u8';

/** Resolves when the number of viewers of a stream becomes `count`. */
function viewersBecome(hls: HlsServer, count: number): Promise<void> {
  return new Promise((resolve) => {
    const off = hls.publisher.onViewers((_stream, viewers) => {
      if (viewers !== count) return;
      off();
      resolve();
    });
  });
}

/** A stream that is never there: subscribed to, it stays silent. */
function silent(name: string, sinks: Sink[]): PublishedStream {
  return {
    name,
    status: {
      ...{ name, state: 'backoff', cause: 'nothing listens on that port', since: new Date(0).toISOString() },
      ...{ reconnects: 1, source: 'rtsp://camera/1', onDemand: false, fps: 0 },
      ...{ frames: { restored: 0, passthrough: 0, dropped: 0 }, viewers: { webrtc: 0, hls: 0 } },
    },
    hasAudio: undefined,
    subscribe({ sink }) {
      sinks.push(sink);
      return { requestKeyframe() {}, setBitrate() {}, close: () => sinks.splice(sinks.indexOf(sink), 1) };
    },
    snapshot: () => Promise.reject(new Error('not asked for')),
  };
}

test('one subscription however many watch, closed with its memory when nobody has for a while', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], { ...QUICK, idle: 700 });
  assert.equal(source.subscribers(), 0);
  await Promise.all(Array.from({ length: 5 }, () => hls.text('test/index.m3u8')));
  assert.equal(source.subscribers(), 1);
  const before = parsePlaylist(await hls.text(MEDIA)).segments.at(-1)!.msn;
  const last = hls.publisher.find('test', 'restored')!;
  while (source.subscribers() > 0) await setTimeout(20);
  assert.equal(last.window, undefined);
  assert.equal((await hls.get(`test/restored/${before}.m4s`)).status, 404);

  // Who comes back finds numbers that went on, after a discontinuity.
  const again = parsePlaylist(await hls.text(MEDIA));
  assert.ok(again.mediaSequence > before);
  assert.equal(again.segments[0]!.discontinuity, true);
});

test('viewers are counted by the session of their multivariant playlist, and by address without one', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], { ...QUICK, segment: 1000 });
  const seen: [string, number][] = [];
  hls.publisher.onViewers((stream, viewers) => seen.push([stream, viewers]));
  const uris = await Promise.all(
    [1, 2].map(async () => (await hls.text('test/index.m3u8')).trimEnd().split('\n').at(-1)!),
  );
  assert.equal(hls.publisher.viewers('test'), 0);
  await Promise.all([...uris, ...uris].map((uri) => hls.text(`test/${uri}`)));
  assert.equal(hls.publisher.viewers('test'), 2);
  await hls.text(MEDIA);
  await hls.text(`${MEDIA}?session=${'<'.repeat(20)}`);
  assert.equal(hls.publisher.viewers('test'), 3);
  const { values } = await hls.metrics.viewers.get();
  assert.deepEqual(values, [{ value: 3, labels: { stream: 'test', protocol: 'hls' } }]);
  await viewersBecome(hls, 0);
  assert.equal(hls.publisher.viewers('test'), 0);
  assert.deepEqual(seen.slice(0, 3), [
    ['test', 1],
    ['test', 2],
    ['test', 3],
  ]);
});

test('players without a session are told apart by what they call themselves, which is not kept', async (t) => {
  await using hls = await startHls([await createH264Source()], QUICK);
  const seen = t.mock.method(hls.publisher, 'seen');
  for (const agent of ['a', 'b']) {
    await (await hls.get(MEDIA, { headers: { 'user-agent': agent.repeat(10_000) } })).text();
  }
  const [first, second] = seen.mock.calls.map(({ arguments: [, session] }) => session);
  assert.notEqual(first, second);
  assert.ok(first!.length <= 64 && second!.length <= 64);
});

test('a stream without a picture is answered 503 when it is known to be gone, and when the server closes', async () => {
  const sinks: Sink[] = [];
  await using hls = await startHls([silent('test', sinks)]);
  const waiting = [hls.get('test/index.m3u8'), hls.get(MEDIA)];
  await once(hls.app.server, 'request');
  while (sinks.length === 0) await new Promise(setImmediate);
  sinks[0]!.end!();
  for (const response of await Promise.all(waiting)) {
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '2');
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    assert.equal(code, 'CLEARWAY_STREAM_OFFLINE');
    assert.equal(detail, 'Stream test has no picture now: nothing listens on that port.');
  }
});

test('who is refused for want of a picture is told why, by which error, and when to ask again', async () => {
  const sinks: Sink[] = [];
  const stream = silent('test', sinks);
  const { status } = stream;
  await using hls = await startHls([stream]);
  const ask = async (now: Partial<StreamStatus>) => {
    Object.assign(status, now);
    const asked = hls.get('test/index.m3u8');
    while (sinks.length === 0) await new Promise(setImmediate);
    sinks.pop()!.end!();
    const response = await asked;
    const { code, detail } = (await response.json()) as { code: string; detail: string };
    assert.deepEqual([response.status, code], [503, 'CLEARWAY_STREAM_OFFLINE']);
    return { detail, after: Number(response.headers.get('retry-after')) };
  };
  const message = 'The camera wants a password.';
  const refused = await ask({
    cause: message,
    error: { code: 'CLEARWAY_SOURCE_UNAUTHORIZED', message, retryable: true },
    retryAt: new Date(Date.now() + 600_000).toISOString(),
  });
  assert.equal(
    refused.detail,
    'Stream test has no picture now: The camera wants a password (CLEARWAY_SOURCE_UNAUTHORIZED).',
  );
  assert.ok(refused.after > 500 && refused.after <= 600, String(refused.after));

  delete status.error;
  delete status.retryAt;
  const silentNow = await ask({ state: 'degraded', cause: 'no picture for 3 s' });
  assert.deepEqual(silentNow, { detail: 'Stream test has no picture now: no picture for 3 s.', after: 2 });
  const lighter = await ask({ cause: 'restored by a lighter model', fps: 25 });
  assert.match(lighter.detail, /about to come/);
});

test('nobody waits for a stream that is switched off', { timeout: 30_000 }, async (t) => {
  // Who waits, waits for ever.
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const stream = silent('test', []);
  Object.assign(stream.status, { state: 'disabled', cause: 'switched off in the configuration' });
  await using hls = await startHls([stream]);
  for (const path of ['test/index.m3u8', MEDIA]) {
    const response = await hls.get(path);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get('retry-after'), '60');
    const { detail } = (await response.json()) as { detail: string };
    assert.equal(detail, 'Stream test has no picture now: switched off in the configuration.');
  }
});

test('an outage: players wait, then go on after a discontinuity', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], { ...QUICK, segments: 6 });
  const before = parsePlaylist(await hls.text(MEDIA));
  source.stall();
  const [msn] = before.hint!.split('.').map(Number);
  const held = hls.text(`${MEDIA}?_HLS_msn=${msn! + 1}&_HLS_part=0`);
  await once(hls.app.server, 'request');
  source.resume('camera back after an outage');
  const after = parsePlaylist(await held);
  const marked = after.segments.filter(({ discontinuity }) => discontinuity);
  assert.equal(marked.length, 1);
  assert.equal(marked[0]!.parts[0]!.independent, true);
  const times = after.segments.map(({ programDateTime }) => programDateTime!);
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
});

test('a stream that ends has an ending playlist; one that is removed is gone', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const { hint } = parsePlaylist(await hls.text(MEDIA));
  const [msn] = hint!.split('.').map(Number);
  const held = hls.text(`${MEDIA}?_HLS_msn=${msn! + 1}`);
  await once(hls.app.server, 'request');
  source.end();
  const last = parsePlaylist(await held);
  assert.equal(last.ended, true);
  assert.ok(last.segments.at(-1)!.uri);
  hls.streams.remove('test');
  for (const path of [MEDIA, 'test/index.m3u8']) {
    const response = await hls.get(path);
    assert.equal(response.status, 404);
    await response.arrayBuffer();
  }
});

test('each live rendition reports where the others are', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  await Promise.all([hls.text(MEDIA), hls.text('test/source/media.m3u8')]);
  const [own, other] = await Promise.all([hls.text(MEDIA), hls.text('test/source/media.m3u8')]);
  assert.deepEqual(
    parsePlaylist(own).reports.map((report) => report.URI),
    ['../source/media.m3u8'],
  );
  const [report] = parsePlaylist(other).reports;
  assert.equal(report!.URI, '../restored/media.m3u8');
  const last = parsePlaylist(own).segments.at(-1)!;
  assert.ok(Number(report!['LAST-MSN']) >= last.msn && Number(report!['LAST-PART']) >= 0);
});

test('a client that hangs up while it waits is forgotten', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const { hint } = parsePlaylist(await hls.text(MEDIA));
  const [msn] = hint!.split('.').map(Number);
  source.stall();
  const controller = new AbortController();
  const held = hls.get(`${MEDIA}?_HLS_msn=${msn! + 1}`, { signal: controller.signal });
  const [, response] = await once(hls.app.server, 'request');
  controller.abort();
  await assert.rejects(held, { name: 'AbortError' });
  if (!response.closed) await once(response, 'close');
  assert.equal(hls.publisher.find('test', 'restored')!.changes.waiting, 0);
});
