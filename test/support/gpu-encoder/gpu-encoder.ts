import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { HardwareEncoderName } from '../../../src/contracts/restorer.ts';

/** What the GPU's encoder does: it `works`, or what is wrong with it. */
export type EncoderState =
  | 'works'
  /** Opening the GPU, or encoding, never comes to an end. */
  | 'hangs'
  | 'stuck'
  /** The driver takes the process down. */
  | 'deadly'
  /** ... but not that of the trial: as soon as a restorer opens it. */
  | 'deadly later'
  /** It has no session to give; it fails on every picture. */
  | 'full'
  | 'fails'
  | 'delays'
  | 'no keyframes'
  | 'no headers'
  | 'garbles'
  | 'unbounded'
  | 'main profile';

/** Where processes read name and state from. */
export const STATE_VARIABLE = 'CLEARWAY_TEST_GPU_ENCODER';
export const HOOKS = new URL('./hooks.ts', import.meta.url).href;

/**
 * Gives every process that is started from here, and this one once it imports HOOKS, a GPU with one encoder: x264
 * behind FFmpeg's interface to it.
 * @param directory for the file with its state
 * @returns sets the state
 */
export function installGpuEncoder(
  directory: string,
): (name: HardwareEncoderName, state: EncoderState) => void {
  const path = join(directory, 'gpu-encoder');
  process.env[STATE_VARIABLE] = path;
  process.env.NODE_OPTIONS = `--import ${HOOKS}`;
  return (name, state) => writeFileSync(path, `${name},${state}`);
}
