import type { Video } from './video.ts';

/** How a video compares to its clean original, on luma, mean over frames. */
export interface Measures {
  /** dB; identical frames count as 60. */
  psnr: number;
  /** 0..1 */
  ssim: number;
  /** Mean absolute difference of the two videos' frame-to-frame changes, 8-bit steps. */
  flicker: number;
}

const BEST_PSNR = 60;

/** Compares the frames that both have, the first with the first. */
export function measure(frames: Uint8Array[], clean: Video): Measures {
  const { width, height } = clean;
  const pixels = width * height;
  const sum = { psnr: 0, ssim: 0, flicker: 0 };
  frames.forEach((frame, i) => {
    const original = clean.frames[i]!;
    sum.psnr += psnr(frame, original, pixels);
    sum.ssim += ssim(frame, original, width, height);
    if (i > 0) sum.flicker += flicker(frames[i - 1]!, frame, clean.frames[i - 1]!, original, pixels);
  });
  const count = frames.length;
  return { psnr: sum.psnr / count, ssim: sum.ssim / count, flicker: sum.flicker / Math.max(1, count - 1) };
}

function psnr(a: Uint8Array, b: Uint8Array, pixels: number): number {
  let squares = 0;
  for (let i = 0; i < pixels; i++) squares += (a[i]! - b[i]!) ** 2;
  return Math.min(BEST_PSNR, 10 * Math.log10((255 ** 2 * pixels) / squares));
}

function flicker(a0: Uint8Array, a1: Uint8Array, b0: Uint8Array, b1: Uint8Array, pixels: number): number {
  let sum = 0;
  for (let i = 0; i < pixels; i++) sum += Math.abs(a1[i]! - a0[i]! - (b1[i]! - b0[i]!));
  return sum / pixels;
}

const SIDE = 8;
const STEP = 4;
const C1 = (0.01 * 255) ** 2;
const C2 = (0.03 * 255) ** 2;

/**
 * Structural similarity (Wang et al., "Image Quality Assessment", 2004) in 8 x 8 windows every 4 pixels, as x264 and
 * ffmpeg measure it.
 */
function ssim(a: Uint8Array, b: Uint8Array, width: number, height: number): number {
  const n = SIDE * SIDE;
  let total = 0;
  let windows = 0;
  for (let top = 0; top + SIDE <= height; top += STEP) {
    for (let left = 0; left + SIDE <= width; left += STEP, windows++) {
      let [sa, sb, squares, products] = [0, 0, 0, 0];
      for (let y = top; y < top + SIDE; y++) {
        for (let at = y * width + left; at < y * width + left + SIDE; at++) {
          const [p, q] = [a[at]!, b[at]!];
          sa += p;
          sb += q;
          squares += p * p + q * q;
          products += p * q;
        }
      }
      const means = (sa * sb) / n ** 2;
      const meanSquares = (sa * sa + sb * sb) / n ** 2;
      const covariance = products / n - means;
      total +=
        ((2 * means + C1) * (2 * covariance + C2)) / ((meanSquares + C1) * (squares / n - meanSquares + C2));
    }
  }
  return windows > 0 ? total / windows : 1;
}
