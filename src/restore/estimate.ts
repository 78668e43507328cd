import type { ModelSpeed } from '../contracts/restorer.ts';

/** ms a frame of this size is expected to take. */
export function estimate(speed: ModelSpeed, width: number, height: number): number {
  return speed.fixed + (speed.perMegapixel * width * height) / 1e6;
}
