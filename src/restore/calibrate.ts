import type { ModelSpeed } from '../contracts/restorer.ts';
import type { RestorerGraph, SmootherGraph } from './graph.ts';
import { pictureBytes } from './picture.ts';
import { Restoration } from './restoration.ts';

interface Size {
  width: number;
  height: number;
}

const SMALL: Size = { width: 320, height: 192 };
const LARGE: Size = { width: 640, height: 384 };
/** On a GPU a small picture costs as much as no picture: what tells is one that fills it. */
const FULL: Size = { width: 1920, height: 1088 };
/** ms of a small picture up to which the full one is tried. */
const QUICK = 4;
/** ms of a small picture from which a model is too slow for any camera: how slow exactly is not worth the wait. */
const HOPELESS = 60;
const WARM_UP = 2;
const RUNS = 7;

/**
 * Times one restored and smoothed frame, from host memory to host memory, at two sizes and fits a line through them:
 * cost grows with the picture. Takes about 25 runs, few for a slow model; the fastest of each size counts, since
 * whatever else runs on this machine only adds time.
 */
export async function measureSpeed(
  graph: RestorerGraph,
  smoother: SmootherGraph | undefined,
): Promise<ModelSpeed> {
  const megapixels = ({ width, height }: Size) => (width * height) / 1e6;
  const first = await fastestFrame(graph, smoother, SMALL, 2);
  if (first > HOPELESS) return { fixed: 0, perMegapixel: first / megapixels(SMALL) };
  const small = Math.min(first, await fastestFrame(graph, smoother, SMALL));
  const full = graph.device.provider !== 'cpu' && small < QUICK;
  const size = full ? FULL : LARGE;
  const large = await fastestFrame(graph, smoother, size);
  const perMegapixel = Math.max(0, (large - small) / (megapixels(size) - megapixels(SMALL)));
  return { fixed: Math.max(0, small - perMegapixel * megapixels(SMALL)), perMegapixel };
}

/** ms of the fastest of some frames. */
export async function fastestFrame(
  graph: RestorerGraph,
  smoother: SmootherGraph | undefined,
  { width, height }: Size = LARGE,
  runs = RUNS,
): Promise<number> {
  const stream = new Restoration();
  const request = { width, height, strength: 1, smoothing: 0.5, restore: true, fresh: false };
  const picture = () =>
    Uint8Array.from({ length: pictureBytes(width, height) }, (_, i) => 64 + ((i * 2654435761) >>> 25)).buffer;
  const spare = Array.from({ length: graph.length + 1 }, picture);
  const out = new Uint8Array(pictureBytes(width, height));
  let fastest = Number.POSITIVE_INFINITY;
  for (let run = -WARM_UP - graph.manifest.window.future; run < runs; run++) {
    const began = performance.now();
    await stream.next(spare.shift()!, request, graph, smoother, out, spare);
    if (run >= 0) fastest = Math.min(fastest, performance.now() - began);
  }
  stream.clear([]);
  return fastest;
}
