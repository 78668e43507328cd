import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { FreezeDetector } from '../../src/restore/freeze-detector.ts';
import { PictureProbe } from '../../src/restore/picture-probe.ts';
import { compareQuality, sampleBlocks } from '../../src/restore/picture-quality.ts';

const WIDTH = 320;
const HEIGHT = 192;
/** Park-Miller: the same numbers in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

/** A smooth I420 picture with Gaussian noise of a standard deviation on its luma. */
function picture(sigma: number, seed = 1): Uint8Array<ArrayBuffer> {
  const next = random(seed);
  const gauss = () => Math.sqrt(-2 * Math.log(next())) * Math.cos(2 * Math.PI * next());
  const out = new Uint8Array((WIDTH * HEIGHT * 3) / 2).fill(128);
  for (let y = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      out[y * WIDTH + x] = Math.round(80 + x / 4 + y / 8 + (sigma > 0 ? sigma * gauss() : 0));
    }
  }
  return out;
}

function box(from: Uint8Array, left: number, top: number, side: number): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(from);
  for (let y = top; y < top + side; y++) out.fill(235, y * WIDTH + left, y * WIDTH + left + side);
  return out;
}

function seconds(pictures: Uint8Array[]): number {
  const detector = new FreezeDetector();
  for (const [index, luma] of pictures.entries()) detector.next(luma, WIDTH, HEIGHT, index * 1000);
  return detector.seconds;
}

describe('FreezeDetector', () => {
  it('counts from the first frame of a picture that stays', () => {
    assert.equal(seconds([picture(0), ...Array(10).fill(box(picture(0), 0, 0, 64))]), 9);
  });
  it("is not fooled by an encoder's pulsing", () => {
    assert.equal(seconds([0, 0.4, 0, 0.5, 0].map((sigma, index) => picture(sigma, index + 1))), 4);
  });
  it('sees sensor noise, and something small that moves', () => {
    assert.equal(seconds([1, 2, 3, 4].map((seed) => picture(3, seed))), 0);
    assert.equal(seconds([0, 40, 80, 120].map((left) => box(picture(0), left, 80, 20))), 0);
  });
  it('begins anew with another picture size and after a break', () => {
    const detector = new FreezeDetector();
    detector.next(picture(0), WIDTH, HEIGHT, 0);
    detector.next(picture(0), WIDTH / 2, HEIGHT / 2, 5000);
    assert.equal(detector.seconds, 0);
    detector.reset();
    detector.next(picture(0), WIDTH / 2, HEIGHT / 2, 9000);
    assert.equal(detector.seconds, 0);
  });
});

describe('picture quality', () => {
  const sample = (luma: Uint8Array) => sampleBlocks(luma, WIDTH, HEIGHT)!;
  const of = (first: Uint8Array, second: Uint8Array) =>
    compareQuality([sample(first), sample(second)], [sample(picture(0)), sample(picture(0))]);

  it('estimates the noise there is', () => {
    for (const sigma of [2, 5, 10]) {
      const { noise } = of(picture(sigma, 1), picture(sigma, 2)).before;
      assert.ok(Math.abs(noise - sigma) < 0.2 * sigma, `${noise} for ${sigma}`);
    }
  });
  it('tells what restoration gained', () => {
    const { before, after } = of(picture(6, 1), picture(6, 2));
    assert.ok(after.noise < 0.5 && before.noise > 4);
    assert.ok(after.flicker < 0.1 && before.flicker > 4);
  });
  it('sees the edges of 8 x 8 blocks and no others', () => {
    const blocky = (size: number) => {
      const out = picture(0);
      for (let y = 0; y < HEIGHT; y++) {
        for (let x = 0; x < WIDTH; x++) {
          out[y * WIDTH + x] = 100 + 10 * ((Math.floor(x / size) + Math.floor(y / size)) % 2);
        }
      }
      return out;
    };
    assert.equal(of(blocky(8), blocky(8)).before.blockiness, 10);
    assert.ok(of(blocky(7), blocky(7)).before.blockiness < 2);
    // A ramp, rounded to whole levels.
    assert.ok(of(picture(0), picture(0)).before.blockiness < 0.2);
  });
  it('takes flicker where nothing moves', () => {
    const still = picture(0);
    assert.equal(of(still, box(still, 0, 0, 96)).before.flicker, 0);
    assert.equal(
      of(
        still,
        still.map((level) => level + 2),
      ).before.flicker,
      2,
    );
  });
  it('leaves a picture alone that is too small', () => {
    assert.equal(sampleBlocks(new Uint8Array(64 * 64 * 1.5), 64, 64), undefined);
  });
});

describe('PictureProbe', () => {
  it('measures two consecutive frames, then rests', () => {
    const probe = new PictureProbe();
    const frame = (pts: number, source = picture(4, pts + 1)) => ({
      restored: picture(0),
      source,
      width: WIDTH,
      height: HEIGHT,
      pts,
      arrival: 0,
      outcome: 'restored' as const,
    });
    assert.ok(probe.needSource(0));
    probe.finished({ ...frame(0), source: undefined }, 0);
    probe.finished(frame(3600), 40);
    assert.equal(probe.take().quality, undefined);
    // A gap: not its successor.
    probe.finished(frame(90_000), 1000);
    assert.equal(probe.take().quality, undefined);
    probe.finished(frame(93_600), 1040);
    const { quality } = probe.take();
    assert.ok(quality && quality.before.noise > quality.after.noise);
    assert.ok(!probe.needSource(1080));
    assert.ok(probe.needSource(32_000));
    assert.equal(probe.take().quality, undefined);
  });
});
