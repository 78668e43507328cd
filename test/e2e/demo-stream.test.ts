import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { descendants } from '../support/processes.ts';
import { RawRtmp } from '../support/raw-rtmp.ts';
import { pushRtmp } from '../support/rtmp-push.ts';

const TIMEOUT = { timeout: 120_000 };

let gateway: RunningGateway;
before(async () => {
  gateway = await startGateway({ defaults: { model: 'none' }, rtmp: { allowAny: true } });
}, TIMEOUT);
after(() => gateway[Symbol.asyncDispose]());

const code = async (name: string) => (await gateway.api('GET', `/api/v1/streams/${name}`)).status;
const add = (name: string, source: string) => gateway.api('POST', '/api/v1/streams', { name, source });
const remove = (name: string) => gateway.api('DELETE', `/api/v1/streams/${name}`);

test('the demo makes way for the first camera, and is back without one', TIMEOUT, async () => {
  assert.equal(await code('demo'), 200);
  await add('porch', 'push');
  assert.equal(await code('demo'), 404);
  await gateway.logged(({ msg }) => msg === 'the demo makes way for the first camera');
  await remove('porch');
  assert.equal(await code('demo'), 200);
});

test('a demo camera that pushes although its stream is gone is no guest', TIMEOUT, async () => {
  await gateway.until('demo', ({ state }) => state === 'live');
  const commands = (await descendants(gateway.pid)).flatMap(({ command }) => command);
  const url = commands.find((argument) => argument.includes('/live/demo?key='));
  await add('porch', 'push');
  using late = new RawRtmp(url!, 'publish');
  await late.until('NetStream.Publish.');
  assert.ok(late.received.includes('NetStream.Publish.BadName'), 'it is refused');
  assert.equal(await code('demo'), 404);
  await remove('porch');
});

test('a demo that is configured stays beside others', TIMEOUT, async () => {
  await add('porch', 'push');
  await add('demo', 'demo');
  await add('yard', 'push');
  assert.equal(await code('demo'), 200);
  await remove('demo');
});

test('a guest that is called demo is not taken for it', TIMEOUT, async () => {
  await using _guest = pushRtmp(`rtmp://127.0.0.1:${gateway.rtmpPort}/live/demo`);
  await gateway.until('demo', ({ state }) => state === 'live');
  await add('shed', 'push');
  assert.equal(await code('demo'), 200);
});
