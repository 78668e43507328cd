import { on, once } from 'node:events';
import type { AccessUnit } from '../../src/contracts/media.ts';
import type { RestorerEvent, RestoreSettings, StreamReport } from '../../src/contracts/restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { REAL_MODELS } from '../support/restoring.ts';
import { row } from './live-figures.ts';

const SETTINGS: RestoreSettings = {
  model: 'lite',
  height: 'auto',
  strength: 1,
  smoothing: 0.5,
  latencyBudget: 2000,
};
/** Share of the accelerator's time that pictures of 480 lines take: room for one such stream, or two of 360 lines. */
const SHARE = 0.45;
/** So long another height has to be the better one here, ms. */
const HOLD = 3000;
/** A change that has not come by then, ms, does not come: the host is not as fast as it was a minute ago. */
const PATIENCE = 60_000;

/**
 * A running stream gets fewer lines for a second camera, and more when that is gone: how soon, and what it costs its
 * viewers. Needs a host with nothing else to do, since the second camera's rate is made of what a picture costs here.
 */
export async function rechoice(): Promise<void> {
  const restorer = new RestorerClient(
    {
      models: REAL_MODELS,
      provider: 'cpu',
      threads: 1,
      rechooseAfter: HOLD,
      log: { level: 'silent', format: 'json' },
    },
    silentLogger,
  );
  await using stack = new AsyncDisposableStack();
  stack.defer(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  const units: AccessUnit[] = [];
  let connections = 0;
  restorer.on('event', (event: RestorerEvent) => {
    if (!('stream' in event) || event.stream !== 'first') return;
    if (event.t === 'unit') units.push(event.unit);
    if (event.t === 'live') connections++;
  });
  const start = (stream: string, fps: number, changes: Partial<RestoreSettings> = {}) => {
    const url = `lavfi:testsrc2=s=854x480:r=${fps.toFixed(2)}`;
    const source = { url, transport: 'auto', audio: false, stallTimeout: 20 } as const;
    const settings = { ...SETTINGS, ...changes };
    restorer.send({ t: 'start', stream, session: 1, source, settings, bitrate: 1_000_000 });
    restorer.send({ t: 'watch', stream, renditions: ['restored'], opus: false, aac: false });
  };
  /** Seconds until a report says so. */
  const report = async (stream: string, enough: (report: StreamReport) => boolean): Promise<number> => {
    const began = performance.now();
    const signal = AbortSignal.timeout(PATIENCE);
    for await (const [event] of on(restorer, 'event', { signal }) as AsyncIterable<[RestorerEvent]>)
      if (event.t === 'report' && event.report.stream === stream && enough(event.report)) break;
    return (performance.now() - began) / 1000;
  };
  const lines = (height: number) => report('first', ({ restoration }) => restoration?.height === height);

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
  await lines(480);
  start('second', fps, { height: 480 });
  const lower = await lines(360);
  restorer.send({ t: 'stop', stream: 'second' });
  const higher = await lines(480);
  const gap = Math.max(...units.slice(1).map(({ pts }, at) => pts - units[at]!.pts)) / 90;
  row(
    `height chosen again after ${HOLD / 1000} s (180 s in the gateway), lite, ${fps.toFixed(0)} fps: 480 -> 360 lines for a second camera, and back once it is gone`,
    `${lower.toFixed(1)} s, ${higher.toFixed(1)} s`,
    '',
  );
  row('... connections; longest time between two pictures', `${connections}; ${gap.toFixed(0)} ms`, '1');
}
