import type { Accelerator } from '../contracts/restorer.ts';
import { ROOM } from './admission.ts';
import { estimate } from './estimate.ts';

/** Heights a picture is restored at when the host may choose, largest first. */
export const HEIGHTS = [1080, 720, 540, 480, 360] as const;

/** Frame rate assumed until the source has told or shown its own. */
export const ASSUMED_FPS = 25;

/** Share of a frame's time inference may take: on a CPU the decoder and the encoder need the same cores. */
const SHARE: Record<Accelerator['provider'], number> = { cpu: 0.6, webgpu: 0.85, cuda: 0.85, tensorrt: 0.85 };

/** What a further lane adds to an accelerator's frames a second: both share its arithmetic (test/bench/RESULTS-GPU.md). */
const LANE_GAIN = 0.3;

export interface Choice {
  model: string;
  height: number;
  /** So many share the accelerator, this one included, with and without a picture. */
  streams: number;
  reason: string;
}

/**
 * The model and height that an accelerator holds at a frame rate, shared among `streams` restored streams: the largest
 * height any model holds, and on it the slowest model that still does, since more work is what quality costs here.
 * @param fixed lines of the restored picture where they are not to be chosen
 */
export function chooseRestoration(
  { speeds, provider, lanes }: Pick<Accelerator, 'speeds' | 'provider' | 'lanes'>,
  fps: number,
  streams: number,
  fixed?: number,
): Choice {
  const heights = fixed === undefined ? HEIGHTS : [fixed];
  const models = Object.entries(speeds).sort(([, a], [, b]) => b.perMegapixel - a.perMegapixel);
  const lightest = models.at(-1);
  if (!lightest)
    return { model: 'none', height: heights[0]!, streams, reason: 'no usable model is installed' };
  // What is chosen for several has to be what is let in.
  const share = streams > 1 ? Math.min(SHARE[provider], ROOM) : SHARE[provider];
  const throughput = 1 + LANE_GAIN * (lanes - 1);
  const budget = (share * 1000) / fps / Math.max(1, streams / throughput);
  // Those that have none now are counted: cameras come back, and a picture that changes its size breaks.
  const among = streams > 1 ? ` with ${streams} streams, when all have a picture` : '';
  for (const height of heights) {
    for (const [model, speed] of models) {
      const ms = estimate(speed, width(height), height);
      if (ms > budget) continue;
      const reason = `${model} takes ${ms.toFixed(1)} ms a ${width(height)}x${height} frame on ${provider}; ${budget.toFixed(0)} ms are free at ${round(fps)} fps${among}`;
      return { model, height, streams, reason };
    }
  }
  const height = heights.at(-1)!;
  const ms = estimate(lightest[1], width(height), height);
  return {
    model: lightest[0],
    height,
    streams,
    reason: `${lightest[0]} needs ${ms.toFixed(1)} ms a ${width(height)}x${height} frame on ${provider}, more than the ${budget.toFixed(0)} ms free at ${round(fps)} fps${among}: some frames ${streams > 1 ? 'pass through then' : 'will pass through'}`,
  };
}

function width(height: number): number {
  return Math.round((height * 16) / 9 / 2) * 2;
}

function round(fps: number): string {
  return String(Number(fps.toFixed(2)));
}
