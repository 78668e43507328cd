import type { Video } from '../../src/eval/video.ts';
import { pictureBytes } from '../../src/restore/picture.ts';

/** Pseudo-random numbers in [0, 1) from a seed (a linear congruential generator). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

export interface SceneOptions {
  width: number;
  height: number;
  frames: number;
  /** Another seed, another scene. */
  seed?: number;
  /** Standard deviation of Gaussian noise on all planes, 8-bit steps. */
  noise?: number;
}

/** A soft background with stripes and a box that moves over it, as no codec or camera has touched it. */
export function scene({ width, height, frames, seed = 1, noise = 0 }: SceneOptions): Video {
  const next = random(seed);
  const gaussian = () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next());
  const luma = (x: number, y: number, t: number) => {
    const left = width / 8 + 2 * t;
    const box = x >= left && x < left + width / 6 && y >= height / 3 && y < (height * 2) / 3;
    return 90 + 20 * seed + 30 * Math.sin(x / (9 + seed)) * Math.cos(y / 13) + (box ? 40 : 0);
  };
  const one = (_: unknown, t: number) => {
    const frame = new Uint8Array(pictureBytes(width, height));
    for (let at = 0; at < frame.length; at++) {
      const value = at < width * height ? luma(at % width, Math.floor(at / width), t) : 128;
      frame[at] = Math.max(0, Math.min(255, Math.round(value + (noise && noise * gaussian()))));
    }
    return frame;
  };
  return { width, height, frames: Array.from({ length: frames }, one), cpu: 0 };
}
