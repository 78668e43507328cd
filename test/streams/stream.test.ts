import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { type StreamConfigInput, streamSchema } from '../../src/config/schema.ts';
import type { ErrorCode } from '../../src/contracts/errors.ts';
import type { RestorerCommand } from '../../src/contracts/restorer.ts';
import { Stream } from '../../src/streams/stream.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';

const SINK = { rendition: 'restored', sink: { video() {} } } as const;
const INPUT = { width: 64, height: 48, codec: 'h264', fps: 25, hasAudio: true };

/** A stream whose restorer only writes down what it is told. */
class Rig {
  readonly commands: RestorerCommand[] = [];
  readonly stream: Stream;
  losses = 0;

  constructor(config: Partial<StreamConfigInput> = {}, logger = silentLogger) {
    this.stream = new Stream('cam', this.config(config), {
      restorer: {
        send: (command) => this.commands.push(command),
        ready: { provider: 'cpu', models: [], speeds: {}, lanes: 1, providers: [] },
      },
      logger,
      open: async () => ({ url: 'rtsp://127.0.0.1/cam' }),
      viewers: () => ({ webrtc: 0, hls: 0 }),
      reconnecting() {},
      lost: () => this.losses++,
      changed() {},
    });
  }

  config(changes: Partial<StreamConfigInput>) {
    return streamSchema.parse({ source: 'rtsp://127.0.0.1/cam', ...changes });
  }

  /** All commands of a kind. */
  of<T extends RestorerCommand['t']>(t: T): Extract<RestorerCommand, { t: T }>[] {
    return this.commands.filter((command) => command.t === t) as Extract<RestorerCommand, { t: T }>[];
  }

  async settle(): Promise<void> {
    await new Promise(setImmediate);
  }

  live(): void {
    const { session } = this.of('start').at(-1)!;
    this.stream.onEvent({ t: 'live', stream: 'cam', session, input: INPUT });
  }

  ended(code: ErrorCode = 'CLEARWAY_SOURCE_STALLED'): void {
    const { session } = this.of('start').at(-1)!;
    const error = { code, message: 'no picture', retryable: true } as const;
    this.stream.onEvent({ t: 'ended', stream: 'cam', session, error });
  }

  [Symbol.dispose](): void {
    this.stream.close();
  }
}

for (const leaves of ['before the restorer dies', 'while the restorer is down'] as const) {
  test(`a viewer who left ${leaves} leaves an on-demand stream that the next viewer can wake`, async () => {
    using rig = new Rig({ onDemand: true });
    rig.stream.wake('configured');
    const viewer = rig.stream.subscribe(SINK);
    await rig.settle();
    rig.live();
    if (leaves === 'before the restorer dies') viewer.close();
    rig.stream.restorerDown('killed');
    if (leaves === 'while the restorer is down') viewer.close();
    rig.stream.restorerReady();
    await rig.settle();
    assert.equal(rig.stream.status.state, 'idle');
    rig.stream.subscribe(SINK);
    await rig.settle();
    assert.equal(rig.of('start').length, 2);
    assert.equal(rig.stream.status.state, 'connecting');
  });
}

test('an on-demand stream that nobody watches any more is let go when its restorer changes', async () => {
  using rig = new Rig({ onDemand: true });
  rig.stream.wake('configured');
  const viewer = rig.stream.subscribe(SINK);
  await rig.settle();
  rig.live();
  viewer.close();
  rig.stream.restorerChanged('accelerator 1 has room for it');
  await rig.settle();
  assert.equal(rig.stream.status.state, 'idle');
  assert.equal(rig.of('start').length, 1);
  assert.equal(rig.of('stop').length, 1, 'the other has no place taken for it');
});

test('an on-demand stream whose camera and viewers are gone takes no place in the restorer', async (t) => {
  using rig = new Rig({ onDemand: true });
  rig.stream.wake('configured');
  const viewer = rig.stream.subscribe(SINK);
  await rig.settle();
  rig.live();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  rig.ended();
  viewer.close();
  assert.equal(rig.stream.status.state, 'backoff');
  t.mock.timers.tick(60_000);
  assert.equal(rig.stream.status.state, 'idle');
  assert.equal(rig.of('stop').length, 1);
});

test('what an earlier stream of the same name still sends is not taken for this one', async () => {
  using first = new Rig();
  first.stream.wake('configured');
  await first.settle();
  const { session } = first.of('start')[0]!;
  using second = new Rig();
  second.stream.wake('configured');
  await second.settle();
  second.stream.onEvent({ t: 'live', stream: 'cam', session, input: INPUT });
  assert.equal(second.stream.status.state, 'connecting');
});

test('a changed source is not described by what the old one was', async () => {
  using rig = new Rig();
  rig.stream.wake('configured');
  await rig.settle();
  rig.live();
  assert.equal(rig.stream.hasAudio, true);
  rig.stream.reconfigure(rig.config({ source: 'rtsp://127.0.0.1/other' }));
  assert.equal(rig.stream.hasAudio, undefined);
  assert.equal(rig.stream.status.input, undefined);
});

test('model, height and title change without another connection', async () => {
  using rig = new Rig();
  rig.stream.wake('configured');
  await rig.settle();
  rig.live();
  rig.stream.reconfigure(rig.config({ model: 'none', height: 480, title: 'Küche' }));
  await rig.settle();
  assert.equal(rig.of('start').length, 1);
  assert.equal(rig.stream.status.state, 'live');
  assert.equal(rig.stream.status.title, 'Küche');
  const { model, height } = rig.of('settings').at(-1)!.settings;
  assert.deepEqual([model, height], ['none', 480]);
});

test('a changed bitrate reaches renditions nobody has wished for, and those watched again', async () => {
  using rig = new Rig();
  rig.stream.wake('configured');
  await rig.settle();
  rig.live();
  rig.stream.reconfigure(rig.config({ bitrate: { start: 900_000 } }));
  const told = () => rig.of('bitrate').findLast(({ rendition }) => rendition === 'restored')?.bps;
  assert.equal(told(), 900_000);
  rig.stream.subscribe({ ...SINK, rendition: 'compare' });
  const watch = rig.commands.findLastIndex(({ t }) => t === 'watch');
  const after = rig.commands.slice(watch).filter((command) => command.t === 'bitrate');
  assert.equal(after.find(({ rendition }) => rendition === 'compare')?.bps, 1_800_000);
});

test('only a picture that was there and went away by itself counts as lost', async () => {
  using rig = new Rig({ onDemand: true });
  rig.stream.wake('configured');
  const viewer = rig.stream.subscribe(SINK);
  await rig.settle();
  rig.ended();
  assert.equal(rig.losses, 0, 'it never came');
  rig.stream.restorerReady();
  await rig.settle();
  rig.live();
  rig.stream.restorerDown('killed');
  assert.equal(rig.losses, 0, 'the restorer’s fault');
  rig.stream.restorerReady();
  await rig.settle();
  rig.live();
  rig.stream.reconfigure(rig.config({ onDemand: true, transport: 'tcp' }));
  await rig.settle();
  assert.equal(rig.losses, 0, 'reopened as configured');
  rig.live();
  rig.ended();
  assert.equal(rig.losses, 1);
  rig.stream.restorerReady();
  await rig.settle();
  rig.live();
  rig.stream.sourceGone('the publisher left');
  assert.equal(rig.losses, 2);
  viewer.close();
});

test('a camera that stays away is in the log once, and again when why changes or it was there', async () => {
  const lines: string[] = [];
  const log = new Writable({
    write(line, _encoding, done) {
      const { msg, to, code } = JSON.parse(String(line));
      if (msg === 'stream state') lines.push(code ?? to);
      done();
    },
  });
  using rig = new Rig({}, createLogger({ level: 'info', format: 'json' }, log));
  rig.stream.wake('configured');
  const fails = async (code: ErrorCode) => {
    await rig.settle();
    rig.ended(code);
    // What its timer would do, after a wait.
    rig.stream.restorerReady();
  };
  for (let round = 0; round < 5; round++) await fails('CLEARWAY_SOURCE_UNREACHABLE');
  await fails('CLEARWAY_SOURCE_UNAUTHORIZED');
  await fails('CLEARWAY_SOURCE_UNREACHABLE');
  await rig.settle();
  rig.live();
  await fails('CLEARWAY_SOURCE_UNREACHABLE');
  assert.deepEqual(lines, [
    'connecting',
    'CLEARWAY_SOURCE_UNREACHABLE',
    'CLEARWAY_SOURCE_UNAUTHORIZED',
    'CLEARWAY_SOURCE_UNREACHABLE',
    'live',
    'CLEARWAY_SOURCE_UNREACHABLE',
  ]);
});
