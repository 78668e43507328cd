import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { on, once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import type { RestorerEvent, RestorerFacts, RestoreSettings } from '../../src/contracts/restorer.ts';
import type { RestorerOptions } from '../../src/restore/restorer-process.ts';
import { askRestorer } from '../../src/streams/ask-restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { pipedModel } from '../support/piped-model.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

const OPTIONS: RestorerOptions = {
  models: FIXTURE_MODELS,
  provider: 'cpu',
  threads: 1,
  log: { level: 'silent', format: 'json' },
};

const KNOWN: Omit<RestorerFacts, 'speeds'> = { provider: 'cpu', models: [], lanes: 1, providers: [] };

function startStream(
  restorer: RestorerClient,
  stream: string,
  url: string,
  settings: Partial<RestoreSettings> = {},
): void {
  restorer.send({
    t: 'start',
    stream,
    session: 1,
    source: { url, transport: 'auto', audio: false, stallTimeout: 20 },
    settings: {
      model: 'blend',
      height: 'auto',
      strength: 1,
      smoothing: 0,
      latencyBudget: 60_000,
      ...settings,
    },
    bitrate: 1_000_000,
  });
  restorer.send({ t: 'watch', stream, renditions: ['restored'], opus: false, aac: false });
}

async function* eventsOf(restorer: RestorerClient): AsyncGenerator<RestorerEvent> {
  for await (const [event] of on(restorer, 'event') as AsyncIterable<[RestorerEvent]>) {
    if (event.t === 'ended') assert.fail(event.error.message);
    yield event;
  }
}

test('a restorer whose gateway is gone before its models are open ends by itself', async (t) => {
  const child = fork(
    new URL('../../src/restore/restorer-process.ts', import.meta.url),
    [JSON.stringify(OPTIONS)],
    { serialization: 'advanced', execArgv: [] },
  );
  t.after(() => child.kill('SIGKILL'));
  child.once('message', () => assert.fail('it was ready before the gateway was gone'));
  child.disconnect();
  await once(child, 'exit');
});

test('closed while it opens its models, it is not waited for', async () => {
  // More than one: whether it can still be written to as it dies is a race.
  for (let i = 0; i < 30; i++) {
    const restorer = new RestorerClient(OPTIONS, silentLogger);
    restorer.on('ready', () => assert.fail('it was waited for'));
    restorer.start();
    const { pid } = restorer;
    await restorer.close();
    assert.throws(() => process.kill(pid!, 0), { code: 'ESRCH' });
  }
});

test('a restorer that the host cannot start now is tried again', async (t) => {
  const restorer = new RestorerClient({ ...OPTIONS, models: 'm'.repeat(1 << 20) }, silentLogger);
  t.after(() => restorer.close());
  const down = once(restorer, 'down');
  // Its arguments are too long for the system: Node throws that, as it does where there is no memory.
  restorer.start();
  assert.match((await down)[0], /^cannot be started: .*E2BIG/);
  restorer.options.models = FIXTURE_MODELS;
  await once(restorer, 'ready');
});

test('a restorer that is started again is told what the first one measured', async () => {
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  restorer.start();
  const [first] = await once(restorer, 'opened');
  process.kill(restorer.pid!, 'SIGKILL');
  const [second] = await once(restorer, 'opened');
  await restorer.close();
  // Two measurements never agree to the last digit.
  assert.deepEqual(second.speeds, first.speeds);
});

test('one that is only asked what it can do opens its models once', async () => {
  assert.equal((await askRestorer({ ...OPTIONS, lanes: 2 }))?.lanes, 1);
});

test('what a restorer compiled is there for the next, however it ends', async (t) => {
  await using directory = await temporaryDirectory();
  process.env.NODE_COMPILE_CACHE = directory.path;
  t.after(() => delete process.env.NODE_COMPILE_CACHE);
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  restorer.start();
  await once(restorer, 'ready');
  process.kill(restorer.pid!, 'SIGKILL');
  await once(restorer, 'down');
  await restorer.close();
  assert.ok((await readdir(directory.path, { recursive: true })).length > 100, 'its modules');
});

test('a restarted restorer passes the picture through while it opens its models, and then restores it', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path);
  const restorer = new RestorerClient({ ...OPTIONS, models }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  await pipe();
  process.kill(restorer.pid!, 'SIGKILL');
  await once(restorer, 'ready');
  startStream(restorer, 'cam', 'lavfi:testsrc2=s=320x180:r=25');
  let shown = 0;
  for await (const event of eventsOf(restorer)) {
    if (event.t === 'unit') shown++;
    if (event.t !== 'report' || shown === 0) continue;
    const { model, step, reason } = event.report.restoration!;
    assert.deepEqual([model, step, event.report.restored], ['none', 1, 0]);
    assert.match(reason, /blend is being opened/);
    break;
  }
  await open();
  for await (const event of eventsOf(restorer))
    if (event.t === 'report' && event.report.restored > 0 && event.report.restoration?.step === 0) break;
});

test('streams are restored while another lane opens its models, and go on if it cannot', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path);
  await pipe();
  const restorer = new RestorerClient({ ...OPTIONS, models, lanes: 2 }, silentLogger);
  t.after(() => restorer.close());
  restorer.on('down', (cause) => assert.fail(cause));
  restorer.start();
  await open();
  await once(restorer, 'ready');
  startStream(restorer, 'cam', 'lavfi:testsrc2=s=320x180:r=25');
  const restored = async () => {
    for await (const event of eventsOf(restorer))
      if (event.t === 'report' && event.report.restored > 0 && event.report.restoration?.step === 0) return;
  };
  await restored();
  await open(new Uint8Array(16));
  await restored();
  await restored();
});

test('a restorer that dies while it opens another lane comes back with one', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path);
  await pipe();
  const restorer = new RestorerClient({ ...OPTIONS, models, lanes: 2 }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await open();
  const [facts] = (await once(restorer, 'ready')) as [RestorerFacts];
  assert.equal(facts.lanes, 2);
  // The other lane waits for the network.
  startStream(restorer, 'cam', 'lavfi:testsrc2=s=320x180:r=25');
  for await (const event of eventsOf(restorer)) if (event.t === 'report' && event.report.restored > 0) break;
  // A pipe of its own for the next one, which cannot be read by the one that dies.
  await pipe();
  const opened = once(restorer, 'opened') as Promise<[RestorerFacts]>;
  process.kill(restorer.pid!, 'SIGKILL');
  await open();
  const [again] = await opened;
  assert.equal(again.lanes, 1);
});

test('a restorer that finds other than was known chooses the height anew', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe, open } = await pipedModel(directory.path);
  await pipe();
  // Where it ran before, the model was too slow for 480 lines.
  const speeds = { blend: { fixed: 10_000, perMegapixel: 0 } };
  const restorer = new RestorerClient(
    { ...OPTIONS, models, known: { ...KNOWN, provider: 'webgpu', speeds } },
    silentLogger,
  );
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  startStream(restorer, 'cam', 'lavfi:testsrc2=s=640x480:r=5');
  for await (const event of eventsOf(restorer)) {
    if (event.t !== 'unit') continue;
    assert.equal(event.unit.height, 360);
    break;
  }
  await open();
  for await (const event of eventsOf(restorer))
    if (event.t === 'unit' && event.unit.outcome === 'restored' && event.unit.height === 480) break;
});

test('a host that was busy when its models were timed restores all the same', async (t) => {
  const speeds = { blend: { fixed: 10_000, perMegapixel: 0 } };
  const restorer = new RestorerClient({ ...OPTIONS, known: { ...KNOWN, speeds } }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  startStream(restorer, 'busy', 'lavfi:testsrc2=s=320x180:r=25', { latencyBudget: 2000 });
  let seconds = 0;
  for await (const event of eventsOf(restorer)) {
    if (event.t !== 'report') continue;
    if (event.report.restored > event.report.passthrough) break;
    assert.ok(++seconds < 20, 'the estimate never mended');
  }
});

test('only a model that runs makes the picture smaller', async (t) => {
  const speeds = { blend: { fixed: 10_000, perMegapixel: 0 }, brighten: { fixed: 0.1, perMegapixel: 0 } };
  const restorer = new RestorerClient({ ...OPTIONS, known: { ...KNOWN, speeds } }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  for (const model of ['none', 'brighten', 'blend'])
    startStream(restorer, model, 'lavfi:testsrc2=s=640x480:r=5', { model, latencyBudget: 2000 });
  const heights = new Map<string, number>();
  for await (const event of eventsOf(restorer)) {
    if (event.t === 'unit') heights.set(event.stream, event.unit.height);
    if (heights.size === 3) break;
  }
  // The source has 480 lines; 360 is the least an overloaded host restores at.
  assert.deepEqual(Object.fromEntries(heights), { none: 480, brighten: 480, blend: 360 });
});

test('a strength of 0 and back leaves the picture as large as it was: what a stream shares with others is not its alone', async (t) => {
  await using directory = await temporaryDirectory();
  const { models, pipe } = await pipedModel(directory.path);
  // Never opened: what restoring costs stays what is known. 480 lines are what one stream may have, not two.
  await pipe();
  const speeds = { blend: { fixed: 0, perMegapixel: 40 } };
  const restorer = new RestorerClient({ ...OPTIONS, models, known: { ...KNOWN, speeds } }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  for (const stream of ['b', 'a']) startStream(restorer, stream, 'lavfi:testsrc2=s=640x480:r=25');
  const units = async (count: number) => {
    for await (const event of eventsOf(restorer)) {
      if (event.t !== 'unit' || event.stream !== 'a') continue;
      assert.equal(event.unit.height, 360);
      if (--count === 0) return;
    }
  };
  await units(1);
  for (const strength of [0, 1])
    restorer.send({
      t: 'settings',
      stream: 'a',
      settings: { model: 'blend', height: 'auto', strength, smoothing: 0, latencyBudget: 60_000 },
    });
  // ffmpeg takes a moment to hear of another height.
  await units(50);
});
