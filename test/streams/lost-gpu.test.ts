import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { RestorerFacts } from '../../src/contracts/restorer.ts';
import type { RestorerOptions } from '../../src/restore/restorer-process.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { RestorerPool } from '../../src/streams/restorer-pool.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { installFaultyGpu } from '../support/faulty-gpu/faulty-gpu.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { restoredOn, startStream } from '../support/one-stream.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());
const setGpu = installFaultyGpu(directory.path);
// One model: each restorer checks and times all there are.
const models = join(directory.path, 'models');
await cp(join(FIXTURE_MODELS, 'blend'), join(models, 'blend'), { recursive: true });

const OPTIONS: RestorerOptions = {
  models,
  provider: 'cuda',
  avoid: ['webgpu'],
  threads: 1,
  log: { level: 'silent', format: 'json' },
};

/** What the next restorer to open its models finds, once it takes streams. */
async function nextOpened(restorer: RestorerClient): Promise<RestorerFacts> {
  const [facts] = (await once(restorer, 'opened')) as [RestorerFacts];
  if (!restorer.ready) await once(restorer, 'ready');
  return facts;
}

test('a driver that is too old is named with what to install, and the next provider taken', async (t) => {
  setGpu('too-old');
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  const { provider, providers } = await nextOpened(restorer);
  assert.equal(provider, 'cpu');
  assert.deepEqual(
    providers.map(({ provider, works }) => [provider, works]),
    [
      ['cuda', false],
      ['cpu', true],
    ],
  );
  assert.match(providers[0]!.detail, /too old for CUDA 13: install driver 580 or newer/);
  startStream(restorer);
  await restoredOn(restorer, 'cpu');
});

test('a GPU that takes its process down whenever it runs is left out, and the next provider taken', async (t) => {
  setGpu('works');
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  assert.equal((await nextOpened(restorer)).provider, 'cuda');
  startStream(restorer);
  await restoredOn(restorer, 'cuda');
  const deaths: string[] = [];
  restorer.on('down', (cause) => deaths.push(cause));
  setGpu('deadly');
  // As the gateway does: whatever is ready is given the stream again.
  let found: RestorerFacts;
  do {
    found = await nextOpened(restorer);
    startStream(restorer);
  } while (found.provider === 'cuda');
  await restoredOn(restorer, 'cpu');
  assert.ok(deaths.length >= 2 && deaths.length <= 4, `${deaths.length} deaths`);
  assert.deepEqual(
    found.providers.map(({ provider }) => provider),
    ['cpu'],
    'it is not even tried',
  );
});

test('a restorer that fell back from a lost GPU goes back to it once it works again', async (t) => {
  setGpu('works');
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  const pool = new RestorerPool([{ client: restorer, device: 0 }], {
    logger: silentLogger,
    retireDoubles: false,
    returnAfter: 100,
  });
  t.after(() => pool.close());
  pool.start();
  assert.equal((await nextOpened(restorer)).provider, 'cuda');
  startStream(restorer);
  await restoredOn(restorer, 'cuda');
  setGpu('lost');
  assert.equal((await nextOpened(restorer)).provider, 'cpu');
  startStream(restorer);
  await restoredOn(restorer, 'cpu');
  const causes: string[] = [];
  restorer.on('down', (cause) => causes.push(cause));
  const { restarts } = restorer;
  setGpu('works');
  assert.equal((await nextOpened(restorer)).provider, 'cuda');
  assert.deepEqual(causes, ['cuda works again']);
  assert.equal(restorer.restarts, restarts, 'that is no death');
  startStream(restorer);
  await restoredOn(restorer, 'cuda');
});

test('of several GPUs each that was lost comes back, however the others fare', async (t) => {
  setGpu('works');
  const members = [0, 1].map((device) => ({ device, client: new RestorerClient(OPTIONS, silentLogger) }));
  const pool = new RestorerPool(members, { logger: silentLogger, retireDoubles: true, returnAfter: 100 });
  t.after(() => pool.close());
  pool.start();
  const { client } = members[1]!;
  assert.equal((await nextOpened(client)).provider, 'cuda');
  startStream(client);
  await restoredOn(client, 'cuda');
  setGpu('lost');
  assert.equal((await nextOpened(client)).provider, 'cpu');
  assert.equal(pool.members.length, 2, 'it doubles none: its GPU is its own');
  setGpu('works');
  assert.equal((await nextOpened(client)).provider, 'cuda');
});

test('a crash while the GPU is opened beside a stream blames nothing: the next opens it first', async (t) => {
  setGpu('works');
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  assert.equal((await nextOpened(restorer)).provider, 'cuda');

  /** Kills the restorer; resolves when the next takes streams, with what is true of it then. */
  async function restarted(): Promise<{ opened: boolean }> {
    let opened = false;
    const note = () => {
      opened = true;
    };
    process.kill(restorer.pid!, 'SIGSEGV');
    await once(restorer, 'down');
    restorer.once('opened', note);
    await once(restorer, 'ready');
    restorer.off('opened', note);
    return { opened };
  }
  // As x264 would with a stream that the restarted one was given before its models are open.
  assert.deepEqual(await restarted(), { opened: false });
  startStream(restorer);
  assert.deepEqual(await restarted(), { opened: true });
  assert.equal(restorer.ready?.provider, 'cuda', 'it is tried again');

  // A GPU that is the cause is found out then.
  assert.deepEqual(await restarted(), { opened: false });
  startStream(restorer);
  setGpu('deadly');
  do startStream(restorer);
  while ((await nextOpened(restorer)).provider === 'cuda');
  assert.equal(restorer.ready?.provider, 'cpu');
});
