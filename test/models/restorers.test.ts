import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { measure } from '../../src/eval/measures.ts';
import { modelSubject } from '../../src/eval/subjects.ts';
import type { Video } from '../../src/eval/video.ts';
import { CpuDevice } from '../../src/restore/device/node-device.ts';
import { RestorerGraph, SmootherGraph } from '../../src/restore/graph.ts';
import { readModel } from '../../src/restore/manifest.ts';
import { Restoration } from '../../src/restore/restoration.ts';
import { scene } from './scene.ts';

const MODELS = join(import.meta.dirname, '../../models');
const CPU = new CpuDevice(1);
const SIZE = { width: 160, height: 96 };
/** dB that the first frame after a cut nobody saw may be worse than a cold start's. */
const UNSEEN_CUT: Record<string, number> = { lite: 0.1, base: 1.5 };

const smoother = await SmootherGraph.open(await readModel(MODELS, 'smoother'), CPU);
after(() => smoother.release());

/** Noise of every size, black and white side by side. */
function extremes({ width, height }: typeof SIZE): Uint8Array {
  return scene({ width, height, frames: 1, noise: 200 }).frames[0]!;
}

test('the smoother at strength 0 or at a reset gives its input back bit for bit', async () => {
  const [picture, before] = [extremes(SIZE), scene({ ...SIZE, frames: 1 }).frames[0]!];
  const out = new Uint8Array(picture.length);
  await smoother.run(picture, before, SIZE.width, SIZE.height, 0, false, out);
  assert.deepEqual(out, picture);
  await smoother.run(picture, before, SIZE.width, SIZE.height, 1, true, out.fill(0));
  assert.deepEqual(out, picture);
});

for (const name of ['lite', 'base']) {
  describe(name, async () => {
    const graph = await RestorerGraph.open(await readModel(MODELS, name), CPU);
    after(() => graph.release());
    const { past, future } = graph.manifest.window;

    const restore = async (video: Video) => (await modelSubject(graph, smoother).restore(video)).frames;

    /** Every frame through one Restoration; `fresh` names frames before which the timeline breaks. */
    async function stream(video: Video, fresh: number[] = []): Promise<Uint8Array[]> {
      const restoration = new Restoration();
      const request = { width: video.width, height: video.height, strength: 1, smoothing: 1, restore: true };
      const out: Uint8Array[] = [];
      for (const [i, frame] of video.frames.entries()) {
        const picture = new Uint8Array(frame.length);
        const treatment = { ...request, fresh: fresh.includes(i) };
        const done = await restoration.next(frame.buffer.slice(0), treatment, graph, smoother, picture, []);
        if (done) out.push(picture);
      }
      return out;
    }

    /** The graph alone over frames of SIZE, state carried, cuts unseen; also the last state. */
    async function unwatched(frames: Uint8Array[], strength = 1) {
      const { width, height } = SIZE;
      let state = graph.freshState(width, height);
      const out: Uint8Array[] = [];
      for (let i = 0; i < frames.length - future; i++) {
        const window = Array.from({ length: graph.length }, (_, k) => frames[Math.max(0, i - past + k)]!);
        const picture = new Uint8Array(window[0]!.length);
        state = await graph.run(window, width, height, strength, state, picture);
        out.push(picture);
      }
      return { out, state };
    }

    test('at strength 0 it gives its input back bit for bit', async () => {
      const frames = [scene({ ...SIZE, frames: 1 }).frames[0]!, extremes(SIZE), extremes(SIZE).reverse()];
      const { out } = await unwatched(frames, 0);
      assert.deepEqual(out, frames.slice(0, out.length));
    });

    test('noise goes, at sizes that are multiples of the alignment and at others', async () => {
      for (const size of [SIZE, { width: 150, height: 98 }, { width: 34, height: 50 }]) {
        const clean = scene({ ...size, frames: 6 });
        const noisy = scene({ ...size, frames: 6, noise: 11 });
        const before = measure(noisy.frames, clean);
        const after = measure(await restore(noisy), clean);
        const at = `${size.width}x${size.height}`;
        assert.ok(after.psnr > before.psnr + 4, `${at}: ${before.psnr} -> ${after.psnr} dB`);
        assert.ok(after.ssim > before.ssim, `${at}: SSIM ${before.ssim} -> ${after.ssim}`);
        assert.ok(after.flicker < before.flicker / 2, `${at}: flicker ${before.flicker} -> ${after.flicker}`);
      }
    });

    test('clean pictures stay as they are', async () => {
      const clean = scene({ ...SIZE, frames: 6 });
      const { psnr } = measure(await restore(clean), clean);
      assert.ok(psnr > 42, `${psnr} dB`);
    });

    test('after a cut nothing of the old scene is left', async () => {
      const old = scene({ ...SIZE, frames: 5, noise: 11 });
      const young = scene({ ...SIZE, frames: 2 + future, seed: 5, noise: 11 });
      const both = { ...old, frames: [...old.frames, ...young.frames] };
      const fresh = await stream(young);
      assert.deepEqual((await stream(both)).slice(-fresh.length), fresh);

      // A cut that nobody saw: the network itself lets go of what it carried.
      const { out } = await unwatched(both.frames);
      const cold = await unwatched(young.frames);
      const clean = scene({ ...SIZE, frames: 1, seed: 5 });
      const [left, right] = [measure([out[5]!], clean).psnr, measure([cold.out[0]!], clean).psnr];
      assert.ok(left > right - UNSEEN_CUT[name]!, `${left} dB after the cut, ${right} dB from a cold start`);
    });

    test('a broken timeline starts from nothing', async () => {
      const video = scene({ ...SIZE, frames: 6, noise: 11 });
      const young = await stream({ ...video, frames: video.frames.slice(3) });
      assert.deepEqual((await stream(video, [3])).slice(-young.length), young);
      assert.notDeepEqual((await stream(video)).slice(-young.length), young);
    });

    test('flat and extreme pictures leave the state finite and flat pictures flat', async () => {
      const { width, height } = SIZE;
      for (const value of [0, 16, 128, 235, 255]) {
        const flat = extremes(SIZE)
          .fill(128)
          .fill(value, 0, width * height);
        const { out } = await unwatched(Array<Uint8Array>(5).fill(flat));
        const middle = out.at(-1)!.subarray((height / 2) * width + 40, (height / 2) * width + width - 40);
        assert.ok(
          middle.every((p) => Math.abs(p - value) <= 1),
          `luma ${value} became ${[...new Set(middle)]}`,
        );
      }
      const wild = extremes(SIZE);
      const { state } = await unwatched(
        Array.from({ length: 20 }, (_, i) => (i % 2 ? wild : wild.toReversed())),
      );
      for (const { data } of Object.values(state)) assert.ok((data as Float32Array).every(Number.isFinite));
    });
  });
}
