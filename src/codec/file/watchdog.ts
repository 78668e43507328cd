import { readFileSync } from 'node:fs';

/** Seconds: longer than disks and network mounts take to answer after all. */
export const HANGS_AFTER = 120;

/**
 * Calls `bark`, once, when a child that is waited for has done nothing for `HANGS_AFTER` seconds: no processor time,
 * not a byte read or written. One that is slow, seeks or has much to skip is alive. Only Linux shows what a process
 * does, and not every Linux (a kernel without task I/O accounting, a sandbox); elsewhere it never calls.
 */
export class Watchdog {
  /** Whether the child is waited for; while it is not, it may rest. */
  waiting = false;
  private idle = 0;
  private before: string | undefined;
  private readonly timer: NodeJS.Timeout | undefined;

  constructor(pid: number | undefined, bark: () => void) {
    if (process.platform !== 'linux') return;
    // Counted, not measured: while a machine sleeps, or this process is stopped, the child cannot work either.
    this.timer = setInterval(() => {
      const work = workOf(pid);
      const rests = work !== undefined && work === this.before;
      this.idle = this.waiting && rests ? this.idle + 1 : 0;
      this.before = work;
      if (this.idle < HANGS_AFTER) return;
      this.stop();
      bark();
    }, 1000);
  }

  stop(): void {
    clearInterval(this.timer);
  }
}

/** All that a process, with its threads, has computed, read and written; undefined where that is not shown. */
function workOf(pid: number | undefined): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // After the program's name, which may hold anything: fields 14 and 15 of proc(5), utime and stime.
    const times = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 13);
    return `${times} ${readFileSync(`/proc/${pid}/io`, 'latin1')}`;
  } catch {
    return undefined;
  }
}
