import { DEMO_FRAMES, FRAME_CODE } from '../../src/ingest/demo-clip.ts';
import { HEIGHT, WIDTH } from '../../src/ingest/demo-scene.ts';

/** A luma plane, rows of `stride` samples; any size, the demo's picture filling `width` x `height` of it. */
export interface Luma {
  data: ArrayLike<number>;
  width: number;
  height: number;
  stride?: number;
}

/** Reads the frame's number in the demo's loop off a picture of any size; undefined when it is not legible. */
export function demoFrameNumber({ data, width, height, stride = width }: Luma): number | undefined {
  let number = 0;
  for (let bit = 0; bit < FRAME_CODE.bits; bit++) {
    const x = FRAME_CODE.x + (bit + 0.5) * FRAME_CODE.cell;
    const y = FRAME_CODE.y + FRAME_CODE.cell / 2;
    const luma = data[Math.floor((y * height) / HEIGHT) * stride + Math.floor((x * width) / WIDTH)] ?? 128;
    if (luma > 90 && luma < 160) return undefined;
    if (luma >= 160) number += 2 ** bit;
  }
  return number < DEMO_FRAMES ? number : undefined;
}

/** Peak signal-to-noise ratio of two planes of equal length, dB. */
export function psnr(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - b[i]!) ** 2;
  return sum === 0 ? Number.POSITIVE_INFINITY : 10 * Math.log10((255 * 255 * a.length) / sum);
}
