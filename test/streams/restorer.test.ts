import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { AccessUnit } from '../../src/contracts/media.ts';
import type { RestorerEvent, RestoreSettings, StreamReport } from '../../src/contracts/restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

type PipelineEvent = Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' }>;

const SOURCE = {
  url: 'lavfi:testsrc2=s=320x180:r=25[out0];sine=r=48000[out1]',
  transport: 'auto',
  audio: true,
  stallTimeout: 20,
} as const;
const SETTINGS: RestoreSettings = {
  model: 'blend',
  height: 'auto',
  strength: 1,
  smoothing: 0.5,
  latencyBudget: 2000,
};

const restorer = new RestorerClient(
  {
    models: join(import.meta.dirname, '../fixtures/models'),
    provider: 'cpu',
    threads: 1,
    log: { level: 'silent', format: 'json' },
  },
  silentLogger,
);

before(async () => {
  restorer.start();
  await once(restorer, 'ready');
});
after(() => restorer.close());

/** Events of one stream, until `enough` says so. */
async function collect(stream: string, enough: (event: PipelineEvent) => boolean): Promise<PipelineEvent[]> {
  const events: PipelineEvent[] = [];
  for await (const [event] of on(restorer, 'event') as AsyncIterable<[PipelineEvent]>) {
    const of = event.t === 'report' ? event.report.stream : event.t === 'snapshot' ? stream : event.stream;
    if (of !== stream) continue;
    events.push(event);
    if (enough(event)) return events;
  }
  return events;
}

function start(stream: string, changes: Partial<RestoreSettings> = {}, source: { url?: string } = {}): void {
  restorer.send({
    t: 'start',
    stream,
    session: 1,
    source: { ...SOURCE, ...source },
    settings: { ...SETTINGS, ...changes },
    bitrate: 1_000_000,
  });
}

function unitsOf(events: PipelineEvent[]): AccessUnit[] {
  return events.flatMap((event) => (event.t === 'unit' ? [event.unit] : []));
}

test('models of the contract are listed, others with what is wrong', () => {
  const models = new Map(restorer.ready!.models.map((model) => [model.name, model]));
  assert.equal(models.get('blend')?.error, undefined);
  assert.match(models.get('nan-weights')?.error ?? '', /strength 0/);
  assert.ok(restorer.ready!.speeds.blend);
});

test('a source becomes restored access units and audio on one clock; renditions come and go', async () => {
  start('a');
  restorer.send({ t: 'watch', stream: 'a', renditions: ['restored', 'compare'], opus: true, aac: true });
  let compares = 0;
  const events = await collect(
    'a',
    (event) => event.t === 'unit' && event.unit.rendition === 'compare' && ++compares === 60,
  );
  const units = unitsOf(events);
  for (const rendition of ['restored', 'compare'] as const) {
    const own = units.filter((unit) => unit.rendition === rendition);
    assert.ok(own[0]!.key, 'begins with a keyframe');
    assert.deepEqual([own[0]!.width, own[0]!.height], rendition === 'compare' ? [640, 180] : [320, 180]);
    for (let i = 1; i < own.length; i++) assert.ok(own[i]!.pts > own[i - 1]!.pts);
    assert.ok(own.some(({ outcome }) => outcome === 'restored'));
  }
  assert.equal(events.find((event) => event.t === 'live')?.t, 'live');
  const video = units.at(-1)!.pts;
  for (const codec of ['opus', 'aac'] as const) {
    const packets = events.flatMap((event) =>
      event.t === 'audio' && event.packet.codec === codec ? [event.packet] : [],
    );
    assert.ok(packets.length > 20, `${packets.length} ${codec} packets`);
    // Nothing is let go before its picture.
    assert.ok(packets.every(({ pts }) => pts <= video));
  }
  restorer.send({ t: 'watch', stream: 'a', renditions: ['source'], opus: false, aac: false });
  const later = await collect('a', (event) => event.t === 'unit' && event.unit.rendition === 'source');
  assert.ok(unitsOf(later).at(-1)!.key);
  restorer.send({ t: 'stop', stream: 'a' });
});

test('it leaves to the gateway when to stop, whoever signals all processes', async () => {
  const down = once(restorer, 'down').then(([cause]) => assert.fail(String(cause)));
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.kill(restorer.pid!, signal);
  start('s');
  restorer.send({ t: 'watch', stream: 's', renditions: ['restored'], opus: false, aac: false });
  await Promise.race([down, collect('s', ({ t }) => t === 'unit')]);
  restorer.send({ t: 'stop', stream: 's' });
});

test('a keyframe comes when asked for', async () => {
  start('k');
  restorer.send({ t: 'watch', stream: 'k', renditions: ['restored'], opus: false, aac: false });
  let count = 0;
  await collect('k', (event) => event.t === 'unit' && ++count === 5);
  restorer.send({ t: 'keyframe', stream: 'k', rendition: 'restored' });
  count = 0;
  const events = await collect('k', (event) => event.t === 'unit' && (event.unit.key || ++count > 200));
  assert.ok(unitsOf(events).at(-1)!.key);
  restorer.send({ t: 'stop', stream: 'k' });
});

test('strength, smoothing and model change without a break in the picture', async () => {
  start('m');
  restorer.send({ t: 'watch', stream: 'm', renditions: ['restored'], opus: false, aac: false });
  const seen = (model: string, strength: number) => (event: PipelineEvent) =>
    event.t === 'report' &&
    event.report.restoration?.model === model &&
    event.report.restoration.strength === strength;
  const events = await collect('m', seen('blend', 1));
  for (const [model, strength] of [
    ['brighten', 0.5],
    ['none', 1],
    ['ahead', 1],
    ['blend', 0.25],
  ] as const) {
    restorer.send({ t: 'settings', stream: 'm', settings: { ...SETTINGS, model, strength } });
    events.push(...(await collect('m', seen(model, strength))));
  }
  const units = unitsOf(events);
  // 25 fps: a gap of over 10 frames would be a break; what is lost to the machine's noise is not.
  for (let i = 1; i < units.length; i++) assert.ok(units[i]!.pts - units[i - 1]!.pts < 10 * 3600);
  assert.equal(events.filter((event) => event.t === 'discontinuity').length, 1);
  restorer.send({ t: 'stop', stream: 'm' });
});

test('the height changes without a break: same session, a keyframe of the new size, windows and compare with it', async () => {
  start('h', { height: 180 });
  restorer.send({ t: 'watch', stream: 'h', renditions: ['restored', 'compare'], opus: true, aac: false });
  const shown = (height: number) => (event: PipelineEvent) =>
    event.t === 'report' && event.report.restoration?.height === height && event.report.restored > 0;
  const events = await collect('h', shown(180));
  for (const height of [90, 120, 180] as const) {
    restorer.send({ t: 'settings', stream: 'h', settings: { ...SETTINGS, height } });
    events.push(...(await collect('h', shown(height))));
  }
  for (const [rendition, wide] of [
    ['restored', 1],
    ['compare', 2],
  ] as const) {
    const units = unitsOf(events).filter((unit) => unit.rendition === rendition);
    const begins = units.filter(({ height }, at) => height !== units[at - 1]?.height);
    assert.deepEqual(
      begins.map(({ width, height, key }) => [width, height, key]),
      [
        [320 * wide, 180, true],
        [160 * wide, 90, true],
        [214 * wide, 120, true],
        [320 * wide, 180, true],
      ],
    );
    // 25 fps: a gap of over 10 frames would be a break; what is lost to the machine's noise is not.
    for (let i = 1; i < units.length; i++) assert.ok(units[i]!.pts - units[i - 1]!.pts < 10 * 3600);
  }
  for (const t of ['discontinuity', 'live', 'ended'] as const)
    assert.equal(events.filter((event) => event.t === t).length, t === 'ended' ? 0 : 1, t);
  restorer.send({ t: 'stop', stream: 'h' });
});

test('the model is chosen for the height that is fixed, of which the camera sends no more than it has', async () => {
  for (const [stream, height, size] of [
    ['f', 90, '160x90'],
    ['F', 1080, '320x180'],
  ] as const) {
    start(stream, { model: 'auto', height });
    restorer.send({ t: 'watch', stream, renditions: ['restored'], opus: false, aac: false });
    const events = await collect(
      stream,
      (event) => event.t === 'report' && event.report.restoration?.step === 0,
    );
    const last = events.at(-1)!;
    assert.match(last.t === 'report' ? last.report.restoration!.reason : '', new RegExp(`a ${size} frame`));
    restorer.send({ t: 'stop', stream });
  }
});

test('the reason of a choice counts the streams there are, also where the choice stays', async () => {
  const reason = (said: RegExp) =>
    collect('n', (event) => event.t === 'report' && said.test(event.report.restoration?.reason ?? ''));
  start('n', { model: 'auto', height: 90 });
  await reason(/ free at [\d.]+ fps$/);
  start('o', { model: 'auto', height: 90 });
  await reason(/ free at [\d.]+ fps with 2 streams, when all have a picture$/);
  restorer.send({ t: 'stop', stream: 'o' });
  await reason(/ free at [\d.]+ fps$/);
  restorer.send({ t: 'stop', stream: 'n' });
});

test('frames that would miss their deadline pass through, and the stream steps down', async () => {
  start('d', { latencyBudget: 0 });
  restorer.send({ t: 'watch', stream: 'd', renditions: ['restored'], opus: false, aac: false });
  const reports: StreamReport[] = [];
  await collect('d', (event) => {
    if (event.t === 'report') reports.push(event.report);
    return event.t === 'report' && event.report.restoration?.model === 'none';
  });
  assert.ok(reports.at(-1)!.restoration!.step > 0);
  assert.match(
    reports.at(-1)!.restoration!.reason,
    /^not restored: .*latencyBudget 0 ms; choose a lighter model/,
  );
  assert.ok(reports.some(({ passthrough }) => passthrough > 0));
  assert.equal(
    reports.reduce((sum, { restored }) => sum + restored, 0),
    0,
  );
  restorer.send({ t: 'stop', stream: 'd' });
});

test('passing through is as wanted with model none and at strength 0, not where there is no such model', async () => {
  start('p', { model: 'gone' });
  restorer.send({ t: 'watch', stream: 'p', renditions: ['restored'], opus: false, aac: false });
  const reason = async (said: RegExp): Promise<number> => {
    const events = await collect(
      'p',
      (event) => event.t === 'report' && said.test(event.report.restoration?.reason ?? ''),
    );
    const last = events.at(-1)!;
    assert.ok(last.t === 'report' && last.report.restoration);
    assert.equal(last.report.restoration.model, 'none');
    return last.report.restoration.step;
  };
  assert.equal(await reason(/^There is no model gone/), 1);
  restorer.send({ t: 'settings', stream: 'p', settings: { ...SETTINGS, model: 'none' } });
  assert.equal(await reason(/switched off/), 0);
  restorer.send({ t: 'settings', stream: 'p', settings: { ...SETTINGS, strength: 0 } });
  assert.equal(await reason(/^strength is 0/), 0);
  restorer.send({ t: 'settings', stream: 'p', settings: { ...SETTINGS, strength: 0.01 } });
  await collect('p', (event) => event.t === 'report' && event.report.restored > 0);
  restorer.send({ t: 'stop', stream: 'p' });
});

test('a source that cannot be opened ends its session with a named error', async () => {
  start('x', {}, { url: 'rtsp://127.0.0.1:1/none' });
  const events = await collect('x', (event) => event.t === 'ended');
  const last = events.at(-1)!;
  assert.equal(last.t === 'ended' && last.error.code, 'CLEARWAY_SOURCE_UNREACHABLE');
  restorer.send({ t: 'stop', stream: 'x' });
});

test('snapshots of every rendition', async () => {
  start('s');
  restorer.send({ t: 'watch', stream: 's', renditions: [], opus: false, aac: false });
  await collect('s', (event) => event.t === 'live');
  for (const [id, rendition] of (['restored', 'source', 'compare'] as const).entries()) {
    restorer.send({ t: 'snapshot', stream: 's', rendition, id });
    const events = await collect('s', (event) => event.t === 'snapshot' && event.id === id);
    const last = events.at(-1)!;
    assert.ok(last.t === 'snapshot' && last.jpeg && last.jpeg[0] === 0xff && last.jpeg[1] === 0xd8);
  }
  restorer.send({ t: 'stop', stream: 's' });
});

test('killed with SIGKILL, it comes back by itself and takes commands again', async () => {
  const down = once(restorer, 'down');
  const ready = once(restorer, 'ready');
  const { pid } = restorer;
  process.kill(pid!, 'SIGKILL');
  assert.match(String((await down)[0]), /SIGKILL/);
  await ready;
  assert.notEqual(restorer.pid, pid);
  assert.equal(restorer.restarts, 1);
  start('again');
  restorer.send({ t: 'watch', stream: 'again', renditions: ['restored'], opus: false, aac: false });
  await collect('again', (event) => event.t === 'unit');
  restorer.send({ t: 'stop', stream: 'again' });
});
