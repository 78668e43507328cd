import { Tensor } from 'onnxruntime-node';
import type { RestorerGraph, SmootherGraph } from '../graph.ts';
import { pictureBytes } from '../picture.ts';

/** Half a probe picture's side: no reach beyond this is found. */
const HALF = 128;

const known = new WeakMap<RestorerGraph | SmootherGraph, Promise<number>>();

/**
 * How far, in samples (infinitely: beyond what can be measured), a restorer's or smoother's result in one run depends on its input: what the networks are given
 * around a tile so that it comes out as it would from the whole picture. Measured once a graph: two pictures that
 * differ in one half only, and how far into the other half their results differ.
 */
export function reachOf(graph: RestorerGraph | SmootherGraph): Promise<number> {
  let reach = known.get(graph);
  if (!reach) {
    reach = 'length' in graph ? restorerReach(graph) : smootherReach(graph);
    known.set(graph, reach);
  }
  return reach;
}

async function restorerReach(graph: RestorerGraph): Promise<number> {
  const side = 2 * HALF;
  const [one, other] = probes();
  const run = async (picture: Uint8Array, state: Record<string, Tensor>) => {
    const out = new Uint8Array(picture.length);
    const window = new Array<Uint8Array>(graph.length).fill(picture);
    return { out, state: await graph.run(window, side, side, 1, state, out) };
  };
  const a = await run(one, graph.freshState(side, side));
  const b = await run(other, graph.freshState(side, side));
  const c = await run(one, a.state);
  const d = await run(one, await joined(a.state, b.state));
  return Math.max(difference(a.out, b.out), difference(c.out, d.out));
}

async function smootherReach(graph: SmootherGraph): Promise<number> {
  const side = 2 * HALF;
  const [one, other] = probes();
  const run = async (restored: Uint8Array, previous: Uint8Array) => {
    const out = new Uint8Array(restored.length);
    await graph.run(restored, previous, side, side, 1, false, out);
    return out;
  };
  const calm = one.map((value, i) => value + (i % 3) - 1);
  const calmOther = other.map((value, i) => value + (i % 3) - 1);
  return Math.max(
    difference(await run(one, calm), await run(other, calmOther)),
    difference(await run(one, calm), await run(one, calmOther)),
  );
}

/** Two pictures alike in the left half: noise, and its negative in the right. */
function probes(): [Uint8Array<ArrayBuffer>, Uint8Array<ArrayBuffer>] {
  const one = Uint8Array.from(
    { length: pictureBytes(2 * HALF, 2 * HALF) },
    (_, i) => 64 + (Math.imul(i + 1, 2654435761) >>> 25),
  );
  const other = one.slice();
  for (const { at, stride, rows } of planes()) {
    for (let row = 0; row < rows; row++) {
      for (let x = stride / 2; x < stride; x++)
        other[at + row * stride + x] = 255 - one[at + row * stride + x]!;
    }
  }
  return [one, other];
}

function planes(): { at: number; stride: number; rows: number; scale: number }[] {
  const luma = 4 * HALF * HALF;
  return [
    { at: 0, stride: 2 * HALF, rows: 2 * HALF, scale: 1 },
    { at: luma, stride: HALF, rows: HALF, scale: 2 },
    { at: luma + luma / 4, stride: HALF, rows: HALF, scale: 2 },
  ];
}

/** Samples from the middle to the farthest one in the left half in which two pictures differ. */
function difference(one: Uint8Array, other: Uint8Array): number {
  let reach = 0;
  for (const { at, stride, rows, scale } of planes()) {
    for (let row = 0; row < rows; row++) {
      for (let x = 0; x < stride / 2; x++) {
        const i = at + row * stride + x;
        if (one[i] === other[i]) continue;
        reach = Math.max(reach, (stride / 2 - x) * scale);
        break;
      }
    }
  }
  return reach < HALF ? reach : Number.POSITIVE_INFINITY;
}

/** States whose left half is that of `a` and whose right half is that of `b`. */
async function joined(a: Record<string, Tensor>, b: Record<string, Tensor>): Promise<Record<string, Tensor>> {
  const out: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(a)) {
    const width = tensor.dims.at(-1)!;
    const right = (await b[name]!.getData()) as Float32Array;
    const data = ((await tensor.getData()) as Float32Array).map((value, i) =>
      i % width < width / 2 ? value : right[i]!,
    );
    out[name] = new Tensor(tensor.type as 'float32', data, tensor.dims);
  }
  return out;
}
