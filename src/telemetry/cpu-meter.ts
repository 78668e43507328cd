import { readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import type { AcceleratorReading } from './accelerator.ts';

/** Ticks a second of /proc/<pid>/stat on Linux. */
const TICKS = 100;

/** What one process took until now. */
interface Sample {
  ticks: number;
  /** ms, monotonic */
  at: number;
}

/** The processor as an accelerator: what some processes, the restorers, take of it. Linux. */
export class CpuMeter {
  private last = new Map<number, Sample>();

  /** Undefined when all are gone. The first reading of a process has no utilization yet. */
  read(pids: number[]): AcceleratorReading | undefined {
    const samples = pids.map(sample).filter((found) => found !== undefined);
    const { last } = this;
    this.last = new Map(samples.map((found) => [found.pid, found]));
    if (samples.length === 0) return undefined;
    const shares = samples.flatMap((found) => share(last.get(found.pid), found) ?? []);
    const limit = process.constrainedMemory();
    return {
      device: 'cpu',
      ...(shares.length === 0 ? {} : { utilization: Math.min(1, sum(shares)) }),
      used: sum(samples.map(({ resident }) => resident)),
      total: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
    };
  }
}

function sample(pid: number): (Sample & { pid: number; resident: number }) | undefined {
  try {
    // The kernel's own memory: nothing to wait for.
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const status = readFileSync(`/proc/${pid}/status`, 'utf8');
    // The program's name, in parentheses, may hold spaces of its own.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const resident = Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024;
    return { pid, ticks: Number(fields[11]) + Number(fields[12]), at: performance.now(), resident };
  } catch {
    return undefined;
  }
}

function share(last: Sample | undefined, now: Sample): number | undefined {
  if (!last) return undefined;
  const seconds = Math.max(0.001, (now.at - last.at) / 1000);
  return (now.ticks - last.ticks) / TICKS / seconds / availableParallelism();
}

function sum(values: number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
