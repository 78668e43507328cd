import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { on, once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RestorerEvent } from '../../src/contracts/restorer.ts';
import type { RestorerOptions } from '../../src/restore/restorer-process.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

const OPTIONS: RestorerOptions = {
  models: join(import.meta.dirname, '../fixtures/models'),
  provider: 'cpu',
  threads: 1,
  log: { level: 'silent', format: 'json' },
};

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

test('a restorer that is started again is told what the first one measured', async () => {
  const restorer = new RestorerClient(OPTIONS, silentLogger);
  restorer.start();
  const [first] = await once(restorer, 'ready');
  process.kill(restorer.pid!, 'SIGKILL');
  const [second] = await once(restorer, 'ready');
  await restorer.close();
  // Two measurements never agree to the last digit.
  assert.deepEqual(second.speeds, first.speeds);
});

test('a host that was busy when its models were timed restores all the same', async (t) => {
  const speeds = { blend: { fixed: 10_000, perMegapixel: 0 } };
  const restorer = new RestorerClient({ ...OPTIONS, known: { provider: 'cpu', speeds } }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  restorer.send({
    t: 'start',
    stream: 'busy',
    session: 1,
    source: { url: 'lavfi:testsrc2=s=320x180:r=25', transport: 'auto', audio: false, stallTimeout: 20 },
    settings: { model: 'blend', height: 'auto', strength: 1, smoothing: 0, latencyBudget: 2000 },
    bitrate: 1_000_000,
  });
  restorer.send({ t: 'watch', stream: 'busy', renditions: ['restored'], opus: false, aac: false });
  let seconds = 0;
  for await (const [event] of on(restorer, 'event') as AsyncIterable<[RestorerEvent]>) {
    if (event.t !== 'report') continue;
    if (event.report.restored > event.report.passthrough) break;
    assert.ok(++seconds < 20, 'the estimate never mended');
  }
});

test('only a model that runs makes the picture smaller', async (t) => {
  const speeds = { blend: { fixed: 10_000, perMegapixel: 0 }, brighten: { fixed: 0.1, perMegapixel: 0 } };
  const restorer = new RestorerClient({ ...OPTIONS, known: { provider: 'cpu', speeds } }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  for (const model of ['none', 'brighten', 'blend']) {
    restorer.send({
      t: 'start',
      stream: model,
      session: 1,
      source: { url: 'lavfi:testsrc2=s=640x480:r=5', transport: 'auto', audio: false, stallTimeout: 20 },
      settings: { model, height: 'auto', strength: 1, smoothing: 0, latencyBudget: 2000 },
      bitrate: 1_000_000,
    });
    restorer.send({ t: 'watch', stream: model, renditions: ['restored'], opus: false, aac: false });
  }
  const heights = new Map<string, number>();
  for await (const [event] of on(restorer, 'event') as AsyncIterable<[RestorerEvent]>) {
    if (event.t === 'unit') heights.set(event.stream, event.unit.height);
    if (heights.size === 3) break;
  }
  // The source has 480 lines; 360 is the least an overloaded host restores at.
  assert.deepEqual(Object.fromEntries(heights), { none: 480, brighten: 480, blend: 360 });
});

test('a provider that does not work here is named, and the stream is restored by the next', async (t) => {
  const restorer = new RestorerClient({ ...OPTIONS, provider: 'cuda', avoid: ['webgpu'] }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  const [ready] = await once(restorer, 'ready');
  if (ready.provider !== 'cpu') return t.skip('there is a GPU');
  const [cuda, cpu] = ready.providers;
  assert.deepEqual([cuda.provider, cuda.works, cpu.provider, cpu.works], ['cuda', false, 'cpu', true]);
  assert.match(cuda.detail, /no NVIDIA GPU here|missing|Linux on x64 only/);
  restorer.send({
    t: 'start',
    stream: 'cam',
    session: 1,
    source: { url: 'lavfi:testsrc2=s=320x180:r=25', transport: 'auto', audio: false, stallTimeout: 20 },
    settings: { model: 'blend', height: 180, strength: 1, smoothing: 0, latencyBudget: 60_000 },
    bitrate: 500_000,
  });
  for await (const [event] of on(restorer, 'event')) {
    if (event.t === 'report' && event.report.restored > 0) break;
  }
});
