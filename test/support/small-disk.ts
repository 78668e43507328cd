import { execFileSync } from 'node:child_process';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';

/** A file system of its own, gone when disposed; why there is none, where only root may mount. */
export type SmallDisk = Disposable & ({ path: string; fill(): void; makeRoom(): void } | { missing: string });

/** @param path an empty directory, to be mounted over */
export function mountSmallDisk(path: string, kib: number): SmallDisk {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${kib}k`, 'tmpfs', path], { stdio: 'pipe' });
  } catch (error) {
    const missing = `no tmpfs can be mounted here: ${(error as Error).message}`;
    return { missing, [Symbol.dispose]() {} };
  }
  const filler = join(path, 'filler');
  return {
    path,
    /** To the last page. */
    fill() {
      const file = openSync(filler, 'a');
      try {
        for (;;) writeSync(file, Buffer.alloc(4096));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        closeSync(file);
      }
    },
    makeRoom: () => rmSync(filler, { force: true }),
    [Symbol.dispose]: () => void execFileSync('umount', ['--lazy', path]),
  };
}
