import { once } from 'node:events';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import type { Gateway } from '../../src/gateway.ts';
import { quantile } from './host.ts';

/** Every stream's reports, so many of them. */
export async function reports(gateway: Gateway, seconds: number): Promise<StreamReport[]> {
  const collected: StreamReport[] = [];
  while (collected.length < seconds) {
    const [event] = await once(gateway.restorer, 'event');
    if (event.t === 'report') collected.push(event.report);
  }
  return collected;
}

/** Prints a row of a Markdown table. */
export function row(...cells: (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/** What streams' reports come to: shares of frames in %, milliseconds from arrival to access unit. */
export function figures(collected: StreamReport[]): {
  restored: number;
  share: number;
  dropped: number;
  p50: number;
  p95: number;
  stages: string;
} {
  const restored = collected.reduce((sum, report) => sum + report.restored, 0);
  const passed = collected.reduce((sum, report) => sum + report.passthrough, 0);
  const dropped = collected.reduce(
    (sum, { dropped }) => sum + Object.values(dropped).reduce((a, b) => a + b, 0),
    0,
  );
  const totals = collected.flatMap(({ total }) => total);
  const stages = (['decode', 'queue', 'restore', 'smooth', 'encode'] as const)
    .map(
      (stage) =>
        `${stage} ${quantile(
          collected.flatMap(({ stages }) => stages[stage]),
          0.5,
        ).toFixed(1)}`,
    )
    .join(', ');
  return {
    restored,
    share: (100 * restored) / (restored + passed + dropped),
    dropped: (100 * dropped) / (restored + passed + dropped),
    p50: quantile(totals, 0.5),
    p95: quantile(totals, 0.95),
    stages,
  };
}
