import assert from 'node:assert/strict';
import type { Device } from '../../src/restore/device/device.ts';
import { RestorerGraph, SmootherGraph } from '../../src/restore/graph.ts';
import type { ModelFiles } from '../../src/restore/manifest.ts';
import { pictureBytes } from '../../src/restore/picture.ts';
import { Restoration } from '../../src/restore/restoration.ts';

/** Noise that moves a little from frame to frame. */
export function noise(width: number, height: number, at: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    { length: pictureBytes(width, height) },
    (_, i) => 64 + (Math.imul(i + at * 3, 2654435761) >>> 27) + ((i >> 5) & 31),
  );
}

interface Side {
  graph: RestorerGraph;
  smoother: SmootherGraph;
  stream: Restoration;
}

/** The same stream on several devices, with window, state and smoothed picture on each. */
export class SameStreams {
  readonly sides: readonly Side[];

  private constructor(sides: readonly Side[]) {
    this.sides = sides;
  }

  static async open(
    devices: readonly Device[],
    restorer: ModelFiles,
    smoother: ModelFiles,
  ): Promise<SameStreams> {
    const sides: Side[] = [];
    for (const device of devices)
      sides.push({
        graph: await RestorerGraph.open(restorer, device),
        smoother: await SmootherGraph.open(smoother, device),
        stream: new Restoration(),
      });
    return new SameStreams(sides);
  }

  /**
   * Restores and smooths some frames, one of them passed through; before the last one the stream is packed and unpacked
   * on all devices but one. Throws where two devices differ by a bit.
   */
  async next(width: number, height: number): Promise<void> {
    for (let at = 0; at < 6; at++) {
      if (at === 5)
        for (const side of this.sides.slice(0, -1))
          side.stream = await Restoration.unpack(await side.stream.pack(), side.graph);
      const outs: Uint8Array[] = [];
      for (const { graph, smoother, stream } of this.sides) {
        const out = new Uint8Array(pictureBytes(width, height));
        const request = { width, height, strength: 0.8, smoothing: 0.5, restore: at !== 3, fresh: false };
        await stream.next(noise(width, height, at).buffer, request, graph, smoother, out, []);
        outs.push(out);
      }
      for (const out of outs) assert.deepEqual(out, outs[0], `${width}x${height} frame ${at}`);
    }
  }

  async release(): Promise<void> {
    for (const { graph, smoother, stream } of this.sides) {
      stream.clear([]);
      await graph.release();
      await smoother.release();
    }
  }
}

/** Two sizes in turn, one of them padded: as two streams would, but each change starts afresh. */
export const SIZES_IN_TURN = [
  [160, 96],
  [150, 98],
  [160, 96],
] as const;
