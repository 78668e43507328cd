import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import { Gateway } from '../../src/gateway.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { freePort } from '../support/ports.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { figures, row } from './live-figures.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const CAMERAS = 10;
const RATE = 12;
/** Seconds of one figure of the shares over time. */
const SLICE = 15;

/** What came of one camera. */
class Seen {
  readonly reports: StreamReport[] = [];
  /** Pictures that were restored after one that was not, or the other way round. */
  changes = 0;
  private last: string | undefined;

  picture(outcome: string): void {
    if (this.last !== undefined && outcome !== this.last) this.changes++;
    this.last = outcome;
  }

  /** Steps of its ladder, up and down. */
  get steps(): number {
    const steps = this.reports.flatMap(({ restoration }) => restoration?.step ?? []);
    return steps.filter((step, at) => at > 0 && step !== steps[at - 1]).length;
  }

  /** Share of the frames that were restored, %, slice by slice. */
  get shares(): string {
    const shares: string[] = [];
    for (let at = 0; at < this.reports.length; at += SLICE)
      shares.push(figures(this.reports.slice(at, at + SLICE)).share.toFixed(0));
    return shares.join(' ');
  }
}

/**
 * Ten cameras on a host that cannot restore them all: does what is restored stay restored, and is every picture in
 * time? Nobody watches, so that those that came first are to be restored.
 */
export async function many(directory: string, seconds: number): Promise<void> {
  await using camera = await startRtspCamera({ width: 640, height: 360, rate: RATE, bitrate: 600 });
  const path = join(directory, 'many.yml');
  const seen = new Map(Array.from({ length: CAMERAS }, (_, at) => [`cam${at}`, new Seen()]));
  const streams = [...seen.keys()].map(
    (name) => `  ${name}: { source: "${camera.url}", model: lite, height: 360 }\n`,
  );
  await writeFile(
    path,
    `log: { level: warn }\nhttp: { port: ${await freePort()} }\nrtmp: { port: ${await freePort()} }\nstreams:\n${streams.join('')}`,
  );
  const gateway = await Gateway.start({ config: path, logger: silentLogger, root: ROOT });
  const { promise: over, resolve: end } = Promise.withResolvers<void>();
  gateway.restorer.on('event', (event) => {
    if (event.t === 'unit') seen.get(event.stream)!.picture(event.unit.outcome);
    if (event.t !== 'report') return;
    const { reports } = seen.get(event.report.stream)!;
    if (reports.push(event.report) >= seconds) end();
  });
  await over;
  await gateway.close();
  const minutes = seconds / 60;
  const sum = (of: (one: Seen) => number) => [...seen.values()].reduce((total, one) => total + of(one), 0);
  const reports = [...seen.values()].flatMap((one) => one.reports);
  const { share, dropped, p50, p95 } = figures(reports);
  row(
    `${CAMERAS} cameras of 640x360 at ${RATE} fps, lite, ${seconds} s: steps of the ladder a minute, all together`,
    (sum((one) => one.steps) / minutes).toFixed(1),
    '',
  );
  row(
    '... changes between restored and unrestored pictures a minute',
    (sum((one) => one.changes) / minutes).toFixed(0),
    '',
  );
  row('... frames restored / dropped', `${share.toFixed(1)} / ${dropped.toFixed(2)} %`, '');
  row('... arrival to access unit p50 / p95', `${p50.toFixed(0)} / ${p95.toFixed(0)} ms`, 'p95 <= 150 ms');
  for (const [name, { shares, steps }] of seen)
    row(`... ${name}: % restored, every ${SLICE} s`, shares, `${steps} steps`);
}
