import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * What the GPU does: it `works`; every run fails and it cannot be opened again (`lost`); the driver takes the process
 * down with it (`deadly`); its driver is `too-old`.
 */
export type GpuState = 'works' | 'lost' | 'deadly' | 'too-old';

/** Where restorer processes read the state from. */
export const STATE_VARIABLE = 'CLEARWAY_TEST_GPU';

/**
 * Gives every restorer process that is started from here a GPU: the CUDA provider's way through the C API, on this
 * host's processor, with faults at will.
 * @param directory for the file with its state
 * @returns sets the state
 */
export function installFaultyGpu(directory: string): (state: GpuState) => void {
  const path = join(directory, 'gpu');
  const set = (state: GpuState) => writeFileSync(path, state);
  set('works');
  process.env[STATE_VARIABLE] = path;
  process.env.NODE_OPTIONS = `--import ${new URL('./hooks.ts', import.meta.url)}`;
  return set;
}
