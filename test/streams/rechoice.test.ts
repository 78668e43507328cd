import assert from 'node:assert/strict';
import { on, once } from 'node:events';
import { test } from 'node:test';
import type { RestorerEvent, RestoreSettings, StreamReport } from '../../src/contracts/restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { REAL_MODELS } from '../support/restoring.ts';

type PipelineEvent = Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' }>;

const SETTINGS: RestoreSettings = {
  model: 'lite',
  height: 'auto',
  strength: 1,
  smoothing: 0.5,
  latencyBudget: 2000,
};
/** Share of the accelerator's time that pictures of 480 lines take: room for one such stream, or two of 360 lines. */
const SHARE = 0.45;

test('a running stream gets fewer lines for a second camera, and more when it is gone: its picture goes on', async () => {
  const restorer = new RestorerClient(
    {
      models: REAL_MODELS,
      provider: 'cpu',
      threads: 1,
      rechooseAfter: 3000,
      log: { level: 'silent', format: 'json' },
    },
    silentLogger,
  );
  await using stack = new AsyncDisposableStack();
  stack.defer(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  const events: PipelineEvent[] = [];
  const start = (stream: string, fps: number, changes: Partial<RestoreSettings> = {}) => {
    const url = `lavfi:testsrc2=s=854x480:r=${fps.toFixed(2)}`;
    const source = { url, transport: 'auto', audio: false, stallTimeout: 20 } as const;
    const settings = { ...SETTINGS, ...changes };
    restorer.send({ t: 'start', stream, session: 1, source, settings, bitrate: 1_000_000 });
    restorer.send({ t: 'watch', stream, renditions: ['restored'], opus: false, aac: false });
  };
  const report = async (stream: string, enough: (report: StreamReport) => boolean): Promise<StreamReport> => {
    for await (const [event] of on(restorer, 'event') as AsyncIterable<[PipelineEvent]>) {
      if ('stream' in event && event.stream === 'first') events.push(event);
      if (event.t === 'report' && event.report.stream === stream && enough(event.report)) return event.report;
    }
    throw new Error('no event any more');
  };
  const lines = (height: number) => (report: StreamReport) => report.restoration?.height === height;

  // What a picture costs here now, not what it did when the models were opened.
  let fastest = Number.POSITIVE_INFINITY;
  let seconds = 0;
  start('measured', 8, { height: 480 });
  await report('measured', ({ stages, restored }) => {
    for (const [at, ms] of stages.restore.entries())
      if (ms > 0) fastest = Math.min(fastest, ms + stages.smooth[at]!);
    return restored > 0 && ++seconds === 5;
  });
  restorer.send({ t: 'stop', stream: 'measured' });

  const fps = (SHARE * 1000) / fastest;
  start('first', fps);
  // It does not say how many pictures a second it has: that is seen.
  await report('first', lines(480));
  start('second', fps, { height: 480 });
  const lower = await report('first', lines(360));
  assert.match(lower.restoration!.reason, / a 640x360 frame .* with 2 streams/);
  restorer.send({ t: 'stop', stream: 'second' });
  const higher = await report('first', lines(480));
  assert.match(higher.restoration!.reason, /lite takes .* ms are free at [\d.]+ fps$/);

  assert.equal(events.filter(({ t }) => t === 'live' || t === 'discontinuity').length, 2, 'one connection');
  const units = events.flatMap((event) => (event.t === 'unit' ? [event.unit] : []));
  const begins = units.filter(({ height }, at) => height !== units[at - 1]?.height);
  assert.deepEqual(
    begins.slice(-3).map(({ height, key }) => [height, key]),
    [
      [480, true],
      [360, true],
      [480, true],
    ],
  );
  // What the noise of this machine costs is no break.
  for (let i = 1; i < units.length; i++) assert.ok(units[i]!.pts - units[i - 1]!.pts < 90_000);
});
