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

/** Mean of some figures, and the half width of its 95 % confidence interval. */
export function meanOf(values: number[]): { mean: number; within: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1);
  return { mean, within: 1.96 * Math.sqrt(variance / values.length) };
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
