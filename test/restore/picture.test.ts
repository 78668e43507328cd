import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pictureBytes, resizeCanvas, sideBySide } from '../../src/restore/picture.ts';
import { FramePool } from '../../src/restore/pool.ts';

const picture = (width: number, height: number, seed: number) =>
  new Uint8Array(pictureBytes(width, height)).map((_, i) => (i * seed + 3) & 255);

test('padding repeats the edge and cropping gives the picture back', () => {
  const small = picture(6, 4, 11);
  const large = new Uint8Array(pictureBytes(16, 8));
  resizeCanvas(small, 6, 4, large, 16, 8);
  assert.equal(large[15], small[5]);
  assert.equal(large[7 * 16 + 2], small[3 * 6 + 2]);
  // U plane: 3x2 grown to 8x4
  assert.equal(large[16 * 8 + 3 * 8 + 7], small[24 + 5]);
  const back = new Uint8Array(small.length);
  resizeCanvas(large, 16, 8, back, 6, 4);
  assert.deepEqual(back, small);
});

test('compare is source left, restored right, in every plane', () => {
  const [left, right] = [picture(4, 4, 7), picture(4, 4, 13)];
  const out = new Uint8Array(pictureBytes(8, 4));
  sideBySide(left, right, 4, 4, out);
  for (const [plane, width, height, inAt, outAt] of [
    ['Y', 4, 4, 0, 0],
    ['U', 2, 2, 16, 32],
    ['V', 2, 2, 20, 40],
  ] as const) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        assert.equal(out[outAt + y * 2 * width + x], left[inAt + y * width + x], `${plane} left ${x},${y}`);
        assert.equal(
          out[outAt + y * 2 * width + width + x],
          right[inAt + y * width + x],
          `${plane} right ${x},${y}`,
        );
      }
    }
  }
});

test('the pool lends again what came back, and lets other sizes and surplus go', () => {
  const pool = new FramePool(600, 2);
  const buffers = [pool.take(), pool.take(), pool.take()];
  for (const buffer of buffers) pool.give(buffer);
  pool.give(new ArrayBuffer(10));
  assert.deepEqual([pool.take(), pool.take()], [buffers[1], buffers[0]]);
  assert.ok(!buffers.includes(pool.take()));
});
