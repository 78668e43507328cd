import type { RestorerGraph } from './graph.ts';
import { refused } from './manifest.ts';
import { aligned, pictureBytes } from './picture.ts';

const SIZE = { width: 320, height: 192 };
/** Frames, so that what the state carries is compared too. */
const FRAMES = 3;
/** Mean difference of samples from the CPU's result, in 8-bit steps: half precision and another order of sums. */
const MEAN = 0.5;
const WORST = 24;

/** Runs a graph beside the same one on the CPU. Throws CLEARWAY_MODEL_INVALID when their pictures differ. */
export async function selfCheck(graph: RestorerGraph, reference: RestorerGraph): Promise<void> {
  const { alignment, name } = graph.manifest;
  const [width, height] = [aligned(SIZE.width, alignment), aligned(SIZE.height, alignment)];
  const pictures = Array.from({ length: FRAMES + graph.length - 1 }, (_, at) => moving(width, height, at));
  const [one, other] = [graph, reference].map((of) => ({
    of,
    state: of.freshState(width, height),
    out: new Uint8Array(pictureBytes(width, height)),
  })) as [Side, Side];
  for (let at = 0; at < FRAMES; at++) {
    for (const side of [one, other]) {
      const window = pictures.slice(at, at + graph.length);
      side.state = await side.of.run(window, width, height, 1, side.state, side.out);
    }
    const { mean, worst } = difference(one.out, other.out);
    if (!(mean <= MEAN) || worst > WORST)
      throw refused(
        name,
        `${graph.device.provider} restores otherwise than the CPU (${mean.toFixed(2)} steps in the mean, ${worst} at worst)`,
      );
  }
}

interface Side {
  of: RestorerGraph;
  state: ReturnType<RestorerGraph['freshState']>;
  out: Uint8Array;
}

/** Edges that move, and noise. */
function moving(width: number, height: number, at: number): Uint8Array {
  return Uint8Array.from({ length: pictureBytes(width, height) }, (_, i) => {
    const edge = (((i % width) + 3 * at) >> 4) & 1;
    return 70 + 60 * edge + (Math.imul(i + at * 7919, 2654435761) >>> 28);
  });
}

function difference(a: Uint8Array, b: Uint8Array): { mean: number; worst: number } {
  let sum = 0;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const step = Math.abs(a[i]! - b[i]!);
    sum += step;
    worst = Math.max(worst, step);
  }
  return { mean: sum / a.length, worst };
}
