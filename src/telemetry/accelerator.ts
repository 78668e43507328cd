import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { promisify } from 'node:util';

/** What one accelerator is doing. */
export interface AcceleratorReading {
  /** `gpu0`, `gpu1`, ... or `cpu`. */
  device: string;
  /** 0 to 1; absent where the driver does not say (a MIG slice). */
  utilization?: number;
  /** Bytes. */
  used?: number;
  /** Bytes. */
  total?: number;
}

const QUERY = ['--query-gpu=index,utilization.gpu,memory.used,memory.total', '--format=csv,noheader,nounits'];
/** A driver that hangs must not pile up children, ms. */
const QUERY_TIMEOUT = 5000;
const MIB = 2 ** 20;
/** Ticks a second of /proc/<pid>/stat on Linux. */
const TICKS = 100;

/** Reads every NVIDIA GPU through the driver's own tool: none when it fails, undefined when there is no such tool. */
export async function readGpus(command = 'nvidia-smi'): Promise<AcceleratorReading[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)(command, QUERY, { timeout: QUERY_TIMEOUT });
    return parseGpus(stdout);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : [];
  }
}

/** Reads lines `index, utilization in %, MiB used, MiB in all`; `[N/A]` where the driver does not say. */
export function parseGpus(csv: string): AcceleratorReading[] {
  return csv
    .split('\n')
    .map((line) => line.split(',').map((cell) => cell.trim()))
    .filter((cells) => cells.length === 4 && /^\d+$/.test(cells[0]!))
    .map(([index, ...figures]) => {
      const [utilization, used, total] = figures.map((cell) =>
        /^\d+$/.test(cell) ? Number(cell) : undefined,
      );
      return {
        device: `gpu${index}`,
        ...(utilization === undefined ? {} : { utilization: utilization / 100 }),
        ...(used === undefined ? {} : { used: used * MIB }),
        ...(total === undefined ? {} : { total: total * MIB }),
      };
    });
}

/** The processor as an accelerator: what one process, the restorer, takes of it. Linux. */
export class CpuMeter {
  private last: { pid: number; ticks: number; at: number } | undefined;

  /** Undefined when the process is gone. The first reading of a process has no utilization yet. */
  async read(pid: number): Promise<AcceleratorReading | undefined> {
    try {
      const [stat, status] = await Promise.all([
        readFile(`/proc/${pid}/stat`, 'utf8'),
        readFile(`/proc/${pid}/status`, 'utf8'),
      ]);
      // The program's name, in parentheses, may hold spaces of its own.
      const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      const now = { pid, ticks: Number(fields[11]) + Number(fields[12]), at: performance.now() };
      const { last } = this;
      this.last = now;
      const resident = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
      const limit = process.constrainedMemory();
      return {
        device: 'cpu',
        ...(last?.pid === pid ? { utilization: share(last, now) } : {}),
        ...(resident === undefined ? {} : { used: Number(resident) * 1024 }),
        total: limit > 0 ? Math.min(limit, totalmem()) : totalmem(),
      };
    } catch {
      return undefined;
    }
  }
}

function share(last: { ticks: number; at: number }, now: { ticks: number; at: number }): number {
  const seconds = Math.max(0.001, (now.at - last.at) / 1000);
  return Math.min(1, (now.ticks - last.ticks) / TICKS / seconds / availableParallelism());
}
