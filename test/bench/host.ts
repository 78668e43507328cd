import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, totalmem } from 'node:os';

/** The machine a figure was measured on, in one line. */
export function describeHost(): string {
  const ffmpeg = /version (\S+)/.exec(execFileSync('ffmpeg', ['-version'], { encoding: 'utf8' }))?.[1];
  return [
    `${availableParallelism()} cores (${cpus()[0]?.model.trim()})`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Node ${process.version}`,
    `ffmpeg ${ffmpeg}`,
    `load before ${loadavg()[0]?.toFixed(2)}`,
  ].join(', ');
}

export function quantile(samples: number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN;
}

/** Resident memory of a process in MiB (Linux). */
export function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
}

/** CPU seconds a process and its finished children have used (Linux, 100 ticks a second). */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** CPU seconds a process, or one of its threads, has used so far, to the nanosecond (Linux); 0 when it is gone. */
export function cpuSecondsFine(pid: number, thread?: number): number {
  try {
    const tasks = thread === undefined ? readdirSync(`/proc/${pid}/task`) : [thread];
    return tasks.reduce((sum: number, task) => {
      const [ran] = readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ');
      return sum + Number(ran) / 1e9;
    }, 0);
  } catch {
    return 0;
  }
}

/** Median of some figures, and its 95 % confidence interval whatever their distribution (order statistics). */
export function medianOf(values: number[]): { median: number; from: number; to: number } {
  const sorted = values.toSorted((a, b) => a - b);
  const half = (1.96 * Math.sqrt(values.length)) / 2;
  const at = (rank: number) => sorted[Math.min(sorted.length - 1, Math.max(0, rank))]!;
  const middle = (values.length - 1) / 2;
  return {
    median: quantile(values, 0.5),
    from: at(Math.floor(middle - half)),
    to: at(Math.ceil(middle + half)),
  };
}

/** Least-squares slope of y over x, and its standard error. */
export function slope(points: [number, number][]): { slope: number; error: number } {
  const n = points.length;
  const mean = (index: 0 | 1) => points.reduce((sum, point) => sum + point[index], 0) / n;
  const [mx, my] = [mean(0), mean(1)];
  const sxx = points.reduce((sum, [x]) => sum + (x - mx) ** 2, 0);
  const b = points.reduce((sum, [x, y]) => sum + (x - mx) * (y - my), 0) / sxx;
  const residual = points.reduce((sum, [x, y]) => sum + (y - my - b * (x - mx)) ** 2, 0);
  return { slope: b, error: Math.sqrt(residual / (n - 2) / sxx) };
}
