import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { on, once } from 'node:events';
import { cp } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { AccessUnit } from '../../src/contracts/media.ts';
import type { RestorerEvent, StreamReport } from '../../src/contracts/restorer.ts';
import type { RestorerOptions } from '../../src/restore/restorer-process.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { installGpuEncoder } from '../support/gpu-encoder/gpu-encoder.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());
const models = join(directory.path, 'models');
await cp(join(FIXTURE_MODELS, 'blend'), join(models, 'blend'), { recursive: true });
const OPTIONS: RestorerOptions = {
  models,
  provider: 'cpu',
  threads: 1,
  log: { level: 'silent', format: 'json' },
};

test('where no hardware encoder works, `hardware` is warned of, with each reason, and software encodes', async (t) => {
  const child = fork(
    new URL('../../src/restore/restorer-process.ts', import.meta.url),
    [JSON.stringify({ ...OPTIONS, encode: 'hardware', log: { level: 'warn', format: 'json' } })],
    { serialization: 'advanced', execArgv: [], silent: true },
  );
  t.after(() => child.kill('SIGKILL'));
  let log = '';
  child.stdout!.on('data', (text) => {
    log += text;
  });
  let opened: RestorerEvent | undefined;
  child.on('message', (event: RestorerEvent) => {
    if (event.t === 'opened') opened = event;
    if (event.t === 'ready') child.send({ t: 'shutdown' });
  });
  await once(child, 'close');
  assert.equal(opened?.t === 'opened' && opened.encoder, undefined);
  const warning = JSON.parse(log.trim());
  assert.equal(warning.msg, 'no hardware encoder works here: software encodes');
  assert.deepEqual(
    warning.trials.map(({ method, works }: { method: string; works: boolean }) => [method, works]),
    [
      ['nvenc', false],
      ['vaapi', false],
    ],
  );
});

test('a stream whose hardware encoder fails goes on from x264; one that takes its restorer down is left out', async (t) => {
  const set = installGpuEncoder(directory.path);
  set('nvenc', 'works');
  const restorer = new RestorerClient({ ...OPTIONS, encode: 'auto' }, silentLogger);
  t.after(async () => {
    await restorer.close();
    delete process.env.NODE_OPTIONS;
  });
  const events = on(restorer, 'event') as AsyncIterableIterator<[RestorerEvent]>;
  async function next<T>(pick: (event: RestorerEvent) => T | undefined): Promise<T> {
    for (;;) {
      const [event] = (await events.next()).value as [RestorerEvent];
      if (event.t === 'ended') assert.fail(event.error.message);
      const picked = pick(event);
      if (picked !== undefined) return picked;
    }
  }
  const report = (by: RegExp) =>
    next((event): StreamReport | undefined =>
      event.t === 'report' && by.test(event.report.encoders?.restored ?? '') ? event.report : undefined,
    );
  const unit = (which: (unit: AccessUnit) => boolean) =>
    next((event) => (event.t === 'unit' && which(event.unit) ? event.unit : undefined));
  const begin = async (session: number) => {
    restorer.send({
      t: 'start',
      stream: 'cam',
      session,
      source: { url: 'lavfi:testsrc2=s=320x180:r=25', transport: 'auto', audio: false, stallTimeout: 20 },
      settings: { model: 'none', height: 180, strength: 1, smoothing: 0, latencyBudget: 60_000 },
      bitrate: 500_000,
    });
    restorer.send({ t: 'watch', stream: 'cam', renditions: ['restored'], opus: false, aac: false });
    await next((event) => (event.t === 'live' && event.session === session ? event : undefined));
  };
  restorer.start();
  await once(restorer, 'ready');
  assert.equal(restorer.ready?.encoder, 'nvenc');
  await begin(1);
  await report(/^nvenc$/);
  set('nvenc', 'fails');
  await unit(({ key }) => key);
  await unit(({ key }) => !key);
  await report(/^software \(encode: Input\/output error\)$/);

  // Dies as it encodes, three times within a minute; each new restorer tries it in a process of its own, and encodes in
  // software until then.
  for (let deaths = 1; deaths <= 3; deaths++) {
    const down = once(restorer, 'down');
    const ready = once(restorer, 'ready');
    const opened = once(restorer, 'opened');
    if (deaths === 1) process.kill(restorer.pid!, 'SIGSEGV');
    else set('nvenc', 'deadly');
    await down;
    set('nvenc', 'works');
    await ready;
    await begin(1 + deaths);
    if (deaths < 3) await report(/^nvenc$/);
    await opened;
  }
  assert.equal(restorer.ready?.encoder, undefined);
  await report(/^software$/);
});

test('a hardware encoder that takes its restorer down as it is opened is left out at once, and nothing else', async (t) => {
  const set = installGpuEncoder(directory.path);
  set('nvenc', 'deadly later');
  const restorer = new RestorerClient({ ...OPTIONS, encode: 'auto' }, silentLogger);
  t.after(async () => {
    await restorer.close();
    delete process.env.NODE_OPTIONS;
  });
  const causes: string[] = [];
  restorer.on('down', (cause) => causes.push(cause));
  restorer.start();
  await once(restorer, 'ready');
  assert.deepEqual(causes, ['killed by SIGSEGV']);
  assert.equal(restorer.ready?.encoder, undefined);
});
