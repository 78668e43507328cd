import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { FfmpegChild } from '../../src/codec/ffmpeg-child.ts';
import type { StreamStatus } from '../../src/contracts/stream.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { pushRtmp } from '../support/rtmp-push.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

const TIMEOUT = { timeout: 120_000 };

let gateway: RunningGateway;
before(async () => {
  gateway = await startGateway({
    defaults: { model: 'none' },
    streams: { door: { source: 'push', key: 'first' } },
  });
}, TIMEOUT);
after(() => gateway[Symbol.asyncDispose]());

/** Resolves when the gateway has taken the edit in. */
async function edit(change: (text: string) => string): Promise<void> {
  const before = gateway.log.length;
  await writeFile(gateway.configPath, change(await readFile(gateway.configPath, 'utf8')));
  await gateway.logged(
    (line) => line.msg === 'configuration reloaded' && gateway.log.indexOf(line) >= before,
  );
}

function push(name: string, key?: string): FfmpegChild {
  const query = key === undefined ? '' : `?key=${key}`;
  return pushRtmp(`rtmp://127.0.0.1:${gateway.rtmpPort}/live/${name}${query}`);
}

const live = ({ state }: StreamStatus) => state === 'live';

test('a new key puts the publisher with the old one out', TIMEOUT, async () => {
  await using old = push('door', 'first');
  await gateway.until('door', live);
  await edit((text) => text.replace('key: first', 'key: second'));
  await old.closed;
  await gateway.until('door', ({ state }) => state === 'idle');
  await using _new = push('door', 'second');
  await gateway.until('door', live);
});

test('a key taken out over the API is out of the file, and the next push needs none', TIMEOUT, async () => {
  await gateway.until('door', ({ state }) => state === 'idle');
  const { status } = await gateway.api('PATCH', '/api/v1/streams/door', { key: null });
  assert.equal(status, 200);
  assert.doesNotMatch(await readFile(gateway.configPath, 'utf8'), /key/);
  await using _keyless = push('door');
  await gateway.until('door', live);
});

test(
  'allowAny counts from the edit on, both ways, and who came in by it may be given a place',
  TIMEOUT,
  async () => {
    await using refused = push('guest');
    assert.notEqual((await refused.closed).code, 0);
    await edit((text) => text.replace('rtmp:\n', 'rtmp:\n  allowAny: true\n'));
    await gateway.logged(({ msg }) => msg === 'configuration reloaded');
    await using guest = push('guest');
    await using passer = push('passer');
    await gateway.until('guest', live);
    await gateway.until('passer', live);
    const { since } = await gateway.status('guest');

    await edit((text) => `${text.replace('allowAny: true', 'allowAny: false')}  guest:\n    source: push\n`);
    await passer.closed;
    assert.equal((await gateway.status('guest')).since, since, 'the picture went on');
    assert.equal((await gateway.api('GET', '/api/v1/streams/passer')).status, 404);
    await guest.stop();
    const { cause } = await gateway.until('guest', ({ state }) => state === 'idle');
    assert.equal(cause, 'the publisher left');
  },
);

const ENDS: Record<string, () => Promise<unknown>> = {
  'removed over the API': () => gateway.api('DELETE', '/api/v1/streams/yard'),
  'switched off over the API': () => gateway.api('PATCH', '/api/v1/streams/yard', { enabled: false }),
  'pulled from elsewhere': () =>
    gateway.api('PATCH', '/api/v1/streams/yard', { source: 'rtsp://127.0.0.1:9/' }),
  'taken out of the file': () => edit((text) => text.replace(/ {2}yard:\n {4}.*\n/, '')),
  'switched off in the file': () =>
    edit((text) => text.replace('  yard:\n', '  yard:\n    enabled: false\n')),
};
for (const [how, end] of Object.entries(ENDS)) {
  test(`a stream that is ${how} ends the connection of who pushes it`, TIMEOUT, async () => {
    await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: 'push' });
    await using publisher = push('yard');
    await gateway.until('yard', live);
    await end();
    await publisher.closed;
    await using again = push('yard');
    assert.notEqual((await again.closed).code, 0);
    await gateway.api('DELETE', '/api/v1/streams/yard');
  });
}

test('a stream that is pulled from elsewhere while it is pushed shows that', TIMEOUT, async () => {
  await using camera = await startRtspCamera();
  await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: 'push' });
  await using publisher = push('yard');
  await gateway.until('yard', live);
  await gateway.api('PATCH', '/api/v1/streams/yard', { source: camera.url });
  await publisher.closed;
  await gateway.until('yard', live);
  await gateway.api('DELETE', '/api/v1/streams/yard');
});

const GUESTS: Record<string, string> = {
  'whose source is changed': 'source',
  'that is given a key': 'key',
};
for (const [how, setting] of Object.entries(GUESTS)) {
  test(`a guest ${how} is one no more: its publisher goes, and it stays`, TIMEOUT, async () => {
    await using camera = await startRtspCamera();
    await edit((text) => text.replace('allowAny: false', 'allowAny: true'));
    await using publisher = push('visitor');
    await gateway.until('visitor', live);
    const change = setting === 'key' ? { key: 'own' } : { source: camera.url };
    const { status } = await gateway.api('PATCH', '/api/v1/streams/visitor', change);
    assert.equal(status, 200);
    await publisher.closed;
    await using again = push('visitor');
    assert.notEqual((await again.closed).code, 0);
    if (setting === 'key') {
      await edit((text) => text.replace('allowAny: true', 'allowAny: false'));
      await using keyed = push('visitor', 'own');
      await gateway.until('visitor', live);
      await keyed.stop();
      await gateway.until('visitor', ({ state }) => state === 'idle');
    } else {
      await gateway.until('visitor', live);
      await edit((text) => text.replace('allowAny: true', 'allowAny: false'));
    }
    assert.equal((await gateway.api('DELETE', '/api/v1/streams/visitor')).status, 204);
  });
}

test('a stream that was pulled and is pushed from now on shows its publisher', TIMEOUT, async () => {
  await using camera = await startRtspCamera();
  await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: camera.url });
  await gateway.until('yard', live);
  await using early = push('yard');
  assert.notEqual((await early.closed).code, 0);
  await gateway.api('PATCH', '/api/v1/streams/yard', { source: 'push', key: 'own' });
  const { cause } = await gateway.until('yard', ({ state }) => state === 'idle');
  assert.equal(cause, 'waiting for a publisher');
  await using _publisher = push('yard', 'own');
  await gateway.until('yard', live);
  await gateway.api('DELETE', '/api/v1/streams/yard');
});

test('over the API: a new key puts the publisher out, none any more lets it go on', TIMEOUT, async () => {
  await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: 'push', key: 'old' });
  await using old = push('yard', 'old');
  await gateway.until('yard', live);
  await gateway.api('PATCH', '/api/v1/streams/yard', { key: 'new' });
  await old.closed;
  await using publisher = push('yard', 'new');
  const { since } = await gateway.until('yard', live);
  await gateway.api('PATCH', '/api/v1/streams/yard', { key: null });
  await using second = push('yard');
  await second.closed;
  assert.equal((await gateway.status('yard')).since, since, 'the picture went on');
  await publisher.stop();
  await gateway.until('yard', ({ state }) => state === 'idle');
  await using _keyless = push('yard');
  await gateway.until('yard', live);
  await gateway.api('DELETE', '/api/v1/streams/yard');
});

test('a name that is used again at once has nothing of the publisher before', TIMEOUT, async () => {
  await using camera = await startRtspCamera();
  for (const source of ['push', camera.url]) {
    await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: 'push' });
    await using publisher = push('yard');
    await gateway.until('yard', live);
    await gateway.api('DELETE', '/api/v1/streams/yard');
    await gateway.api('POST', '/api/v1/streams', { name: 'yard', source });
    await publisher.closed;
    if (source === 'push') {
      assert.equal((await gateway.status('yard')).state, 'idle');
      await using _next = push('yard');
      await gateway.until('yard', live);
    } else await gateway.until('yard', live);
    await gateway.api('DELETE', '/api/v1/streams/yard');
  }
});

test('the built-in camera gives a stream up for a publisher, and takes one over', TIMEOUT, async () => {
  await gateway.api('POST', '/api/v1/streams', { name: 'yard', source: 'demo' });
  await gateway.until('yard', live);
  await gateway.api('PATCH', '/api/v1/streams/yard', { source: 'push' });
  await gateway.until('yard', ({ state }) => state === 'idle');
  await using publisher = push('yard');
  await gateway.until('yard', live);
  await gateway.api('PATCH', '/api/v1/streams/yard', { source: 'demo' });
  await publisher.closed;
  await gateway.until('yard', live);
  await gateway.api('DELETE', '/api/v1/streams/yard');
});

test('the demo does not become a door without a key to other hosts', TIMEOUT, async () => {
  // Loopback, which only the resolver knows.
  await using open = await startGateway({ rtmp: { host: '0x7f.1' }, defaults: { model: 'none' } });
  const { status, body } = await open.api('PATCH', '/api/v1/streams/demo', { source: 'push' });
  assert.deepEqual([status, (body as { code: string }).code], [400, 'CLEARWAY_BIND_REFUSED']);
  assert.equal((await open.status('demo')).source, 'demo');
  const keyed = await open.api('PATCH', '/api/v1/streams/demo', { source: 'push', key: 'own' });
  assert.equal(keyed.status, 200);
});

test('so does a guest that is removed; one that is switched off stays so', TIMEOUT, async () => {
  await edit((text) => text.replace('allowAny: false', 'allowAny: true'));
  {
    await using removed = push('visitor');
    await gateway.until('visitor', live);
    await gateway.api('DELETE', '/api/v1/streams/visitor');
    await removed.closed;
  }
  await using back = push('visitor');
  await gateway.until('visitor', live);
  await gateway.api('PATCH', '/api/v1/streams/visitor', { enabled: false });
  await back.closed;
  assert.equal((await gateway.status('visitor')).state, 'disabled');
  await using again = push('visitor');
  assert.notEqual((await again.closed).code, 0);
  await gateway.api('PATCH', '/api/v1/streams/visitor', { enabled: null });
  await using _let = push('visitor');
  await gateway.until('visitor', live);
});
