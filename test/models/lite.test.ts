import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
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

const lite = await RestorerGraph.open(await readModel(MODELS, 'lite'), CPU);
const smoother = await SmootherGraph.open(await readModel(MODELS, 'smoother'), CPU);
after(async () => {
  await lite.release();
  await smoother.release();
});

const restore = async (video: Video) => (await modelSubject(lite, smoother).restore(video)).frames;

/** Every frame through one Restoration; `fresh` names frames before which the timeline breaks. */
async function stream(video: Video, fresh: number[] = []): Promise<Uint8Array[]> {
  const restoration = new Restoration();
  const request = { width: video.width, height: video.height, strength: 1, smoothing: 1, restore: true };
  const out: Uint8Array[] = [];
  for (const [i, frame] of video.frames.entries()) {
    const picture = new Uint8Array(frame.length);
    const treatment = { ...request, fresh: fresh.includes(i) };
    await restoration.next(frame.buffer.slice(0), treatment, lite, smoother, picture, []);
    out.push(picture);
  }
  return out;
}

/** Noise of every size, black and white side by side. */
function extremes({ width, height }: typeof SIZE): Uint8Array {
  return scene({ width, height, frames: 1, noise: 200 }).frames[0]!;
}

test('at strength 0 both graphs give their input back bit for bit', async () => {
  const picture = extremes(SIZE);
  const out = new Uint8Array(picture.length);
  const window = [scene({ ...SIZE, frames: 1 }).frames[0]!, picture];
  await lite.run(window, SIZE.width, SIZE.height, 0, lite.freshState(SIZE.width, SIZE.height), out);
  assert.deepEqual(out, picture);
  await smoother.run(picture, window[0]!, SIZE.width, SIZE.height, 0, false, out.fill(0));
  assert.deepEqual(out, picture);
  await smoother.run(picture, window[0]!, SIZE.width, SIZE.height, 1, true, out.fill(0));
  assert.deepEqual(out, picture);
});

test('noise goes, at sizes that are multiples of the alignment and at others', async () => {
  for (const size of [SIZE, { width: 150, height: 98 }, { width: 34, height: 50 }]) {
    const clean = scene({ ...size, frames: 6 });
    const noisy = scene({ ...size, frames: 6, noise: 11 });
    const before = measure(noisy.frames, clean);
    const after = measure(await restore(noisy), clean);
    const name = `${size.width}x${size.height}`;
    assert.ok(after.psnr > before.psnr + 4, `${name}: ${before.psnr} -> ${after.psnr} dB`);
    assert.ok(after.ssim > before.ssim, `${name}: SSIM ${before.ssim} -> ${after.ssim}`);
    assert.ok(after.flicker < before.flicker / 2, `${name}: flicker ${before.flicker} -> ${after.flicker}`);
  }
});

test('clean pictures stay as they are', async () => {
  const clean = scene({ ...SIZE, frames: 6 });
  const { psnr } = measure(await restore(clean), clean);
  assert.ok(psnr > 42, `${psnr} dB`);
});

test('after a cut nothing of the old scene is left, even if the cut is not seen', async () => {
  const old = scene({ ...SIZE, frames: 5, noise: 11 });
  const young = scene({ ...SIZE, frames: 2, seed: 5, noise: 11 });
  const both = { ...old, frames: [...old.frames, ...young.frames] };
  assert.deepEqual((await stream(both)).slice(5), await stream(young));

  const { width, height } = SIZE;
  const [warm, cold] = [new Uint8Array(old.frames[0]!.length), new Uint8Array(old.frames[0]!.length)];
  let state = lite.freshState(width, height);
  for (let i = 0; i < 5; i++) {
    state = await lite.run(
      [both.frames[Math.max(0, i - 1)]!, both.frames[i]!],
      width,
      height,
      1,
      state,
      warm,
    );
  }
  await lite.run([both.frames[4]!, both.frames[5]!], width, height, 1, state, warm);
  const first = young.frames[0]!;
  await lite.run([first, first], width, height, 1, lite.freshState(width, height), cold);
  const clean = scene({ ...SIZE, frames: 1, seed: 5 });
  const [left, right] = [measure([warm], clean).psnr, measure([cold], clean).psnr];
  assert.ok(left > right - 0.1, `${left} dB after the cut, ${right} dB from a cold start`);
});

test('a broken timeline starts from nothing', async () => {
  const video = scene({ ...SIZE, frames: 6, noise: 11 });
  const restarted = await stream(video, [3]);
  assert.deepEqual(restarted.slice(3), await stream({ ...video, frames: video.frames.slice(3) }));
  assert.notDeepEqual(restarted.slice(3), (await stream(video)).slice(3));
});

test('flat and extreme pictures leave the state finite and flat pictures flat', async () => {
  const { width, height } = SIZE;
  const out = new Uint8Array(extremes(SIZE).length);
  for (const value of [0, 16, 128, 235, 255]) {
    const flat = new Uint8Array(out.length).fill(128).fill(value, 0, width * height);
    let state = lite.freshState(width, height);
    for (let i = 0; i < 4; i++) state = await lite.run([flat, flat], width, height, 1, state, out);
    const middle = out.subarray((height / 2) * width + 40, (height / 2) * width + width - 40);
    assert.ok(
      middle.every((p) => Math.abs(p - value) <= 1),
      `luma ${value} became ${[...new Set(middle)]}`,
    );
  }
  const wild = extremes(SIZE);
  let state = lite.freshState(width, height);
  for (let i = 0; i < 20; i++) {
    state = await lite.run([wild, i % 2 ? wild : wild.toReversed()], width, height, 1, state, out);
  }
  for (const { data } of Object.values(state)) assert.ok((data as Float32Array).every(Number.isFinite));
});
