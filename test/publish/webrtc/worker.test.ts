import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseOffer } from '../../../src/publish/webrtc/offer.ts';
import { ViewerWorker } from '../../../src/publish/webrtc/viewer-worker.ts';
import { freeUdpPorts } from '../../support/ports.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { CHROME } from './offers.ts';

function post(gateway: TestGateway): Promise<Response> {
  return fetch(`${gateway.url}/whep/cam`, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: CHROME,
  });
}

/** Every worker that is asked something from now on. */
function workersAsked(t: import('node:test').TestContext): Set<ViewerWorker> {
  const asked = new Set<ViewerWorker>();
  const { call } = ViewerWorker.prototype;
  t.mock.method(
    ViewerWorker.prototype,
    'call',
    function (this: ViewerWorker, ...args: Parameters<typeof call>) {
      asked.add(this);
      return call.apply(this, args);
    },
  );
  return asked;
}

test('viewers are spread over the workers', async (t) => {
  const asked = workersAsked(t);
  await using gateway = await startGateway({ webrtc: { workers: 3, portRange: await freeUdpPorts(20) } });
  const answers = await Promise.all([1, 2, 3].map(() => post(gateway)));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [201, 201, 201],
  );
  assert.equal(asked.size, 3);
  assert.deepEqual(
    [...asked].map(({ sessions }) => sessions.size),
    [1, 1, 1],
  );
});

test('a dead worker drops its viewers and is replaced on its ports', async (t) => {
  const asked = workersAsked(t);
  await using gateway = await startGateway({ webrtc: { portRange: await freeUdpPorts(2) } });
  const session = (await post(gateway)).headers.get('location')!;
  const [worker] = asked;
  const died = new Promise((resolve) => worker!.once('died', resolve));
  worker!.kill();
  await died;
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal(gateway.source.subscribers(), 0);
  assert.equal((await fetch(`${gateway.url}${session}`, { method: 'DELETE' })).status, 404);
  let response = await post(gateway);
  while (response.status === 503) response = await post(gateway);
  assert.equal(response.status, 201);
  assert.equal(asked.size, 2);
});

test('what waits for a worker that dies is answered', async (t) => {
  const asked = workersAsked(t);
  await using gateway = await startGateway();
  const answers = Promise.all(Array.from({ length: 20 }, () => post(gateway)));
  while (asked.size === 0) await new Promise(setImmediate);
  [...asked][0]!.kill();
  for (const { status } of await answers) assert.ok(status === 201 || status === 503);
  assert.ok((await answers).some(({ status }) => status === 503));
});

test('a unit that is not H.264 costs a picture, not the worker', async () => {
  const worker = new ViewerWorker({ ports: await freeUdpPorts(2), additionalHosts: [] });
  const warned = new Promise((resolve) => worker.once('warning', resolve));
  worker.once('died', () => assert.fail('the worker died'));
  worker.video({ feed: 0, data: new Uint8Array([0, 0, 0, 1, 0x65]), pts: 0, key: true });
  assert.match(String(await warned), /H\.264/);
  await worker.close();
});

test('a worker that falls behind is spared pictures until it has caught up, then needs a keyframe', async () => {
  const worker = new ViewerWorker({ ports: await freeUdpPorts(2), additionalHosts: [] });
  const posted: string[] = [];
  const { post } = worker;
  worker.post = (command) => {
    posted.push(command.t);
    post.call(worker, command);
  };
  const unit = { feed: 0, data: new Uint8Array([0, 0, 0, 1, 0x41, 0]), pts: 0, key: false };
  // The thread is not even up: nothing is acknowledged yet.
  for (let i = 0; i < 300; i++) worker.video(unit);
  assert.equal(posted.filter((t) => t === 'video').length, 256);
  assert.deepEqual(posted.slice(256), ['gap'], 'told once');
  await new Promise((resolve) => worker.once('report', resolve));
  const asked = new Promise((resolve) => worker.once('keyframe', resolve));
  worker.video(unit);
  assert.equal(await asked, 0, 'asks for a keyframe');
  worker.video({ ...unit, key: true });
  assert.equal(posted.at(-1), 'video');
  await worker.close();
});

test('a viewer that cannot be opened keeps no port', async (t) => {
  const worker = new ViewerWorker({ ports: await freeUdpPorts(2), additionalHosts: [] });
  t.after(() => worker.close());
  const offer = parseOffer(CHROME);
  // werift makes no connection of it.
  const impossible = { ...offer, media: [] };
  await assert.rejects(worker.call({ t: 'open', id: 'a', feed: 0, offer: impossible }), {
    code: 'CLEARWAY_INTERNAL',
  });
  assert.match(await worker.call({ t: 'open', id: 'b', feed: 0, offer }), /^v=0/);
});

test('a player that never connects is let go and its ports with it', { timeout: 60_000 }, async () => {
  await using gateway = await startGateway({ webrtc: { portRange: await freeUdpPorts(2) } });
  assert.equal((await post(gateway)).status, 201);
  assert.equal((await post(gateway)).status, 503);
  while (gateway.publisher.sessions > 0) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(gateway.source.subscribers(), 0);
  assert.equal((await post(gateway)).status, 201);
});
