import type { ModelSpeed } from '../contracts/restorer.ts';
import type { RestorerGraph, SmootherGraph } from './graph.ts';
import { aligned, pictureBytes } from './picture.ts';

const SMALL = { width: 320, height: 192 };
const LARGE = { width: 640, height: 384 };
const WARM_UP = 2;
const RUNS = 7;

/**
 * Times one restored and smoothed frame at two sizes and fits a line through them: cost grows with the picture.
 * Takes about 20 runs; the fastest of each size counts, since whatever else runs on this machine only adds time.
 */
export async function measureSpeed(
  graph: RestorerGraph,
  smoother: SmootherGraph | undefined,
): Promise<ModelSpeed> {
  const small = await fastestRun(graph, smoother, SMALL);
  const large = await fastestRun(graph, smoother, LARGE);
  const perMegapixel = Math.max(0, ((large.ms - small.ms) / (large.pixels - small.pixels)) * 1e6);
  return { fixed: Math.max(0, small.ms - (perMegapixel * small.pixels) / 1e6), perMegapixel };
}

/** ms a frame of this size is expected to take. */
export function estimate(speed: ModelSpeed, width: number, height: number): number {
  return speed.fixed + (speed.perMegapixel * width * height) / 1e6;
}

async function fastestRun(
  graph: RestorerGraph,
  smoother: SmootherGraph | undefined,
  size: { width: number; height: number },
): Promise<{ ms: number; pixels: number }> {
  const alignment = Math.max(graph.manifest.alignment, smoother?.manifest.alignment ?? 2);
  const width = aligned(size.width, alignment);
  const height = aligned(size.height, alignment);
  const frame = () =>
    Uint8Array.from({ length: pictureBytes(width, height) }, (_, i) => 64 + ((i * 2654435761) >>> 25));
  const window = Array.from({ length: graph.length }, frame);
  const out = new Uint8Array(window[0]!.length);
  const smoothed = new Uint8Array(out.length);
  let state = graph.freshState(width, height);
  let ms = Number.POSITIVE_INFINITY;
  for (let run = 0; run < WARM_UP + RUNS; run++) {
    const began = performance.now();
    state = await graph.run(window, width, height, 1, state, out);
    await smoother?.run(out, window[0]!, width, height, 0.5, false, smoothed);
    if (run >= WARM_UP) ms = Math.min(ms, performance.now() - began);
  }
  return { ms, pixels: width * height };
}
