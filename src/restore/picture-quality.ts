import type { PictureQuality } from '../contracts/stream.ts';

/** Blocks looked at: a grid of GRID x GRID, each aligned to the 8 x 8 blocks of MPEG, JPEG and H.264. */
const GRID = 8;
const SIDE = 16;
const BLOCKS = GRID * GRID;
/** Share of the blocks taken as flat, or as still: those with the least of what is measured. */
const QUIET = BLOCKS / 4;
/** Blocks this dark or bright are clipped, and noise with them; 8-bit levels, limited range. */
const CLIPPED = { dark: 20, bright: 230 };

/** The blocks of one picture, copied out so that its buffer need not be held. */
export type Sample = Uint8Array;

/** Copies the blocks that are measured: 64 blocks of 16 x 16 luma samples, 16 KiB. Undefined if the picture is too small. */
export function sampleBlocks(luma: Uint8Array, width: number, height: number): Sample | undefined {
  if (width < SIDE * GRID || height < SIDE * GRID) return undefined;
  const sample = new Uint8Array(BLOCKS * SIDE * SIDE);
  let at = 0;
  for (let by = 0; by < GRID; by++) {
    const top = aligned(((by + 0.5) * height) / GRID - SIDE / 2);
    for (let bx = 0; bx < GRID; bx++) {
      const left = aligned(((bx + 0.5) * width) / GRID - SIDE / 2);
      for (let row = 0; row < SIDE; row++, at += SIDE) {
        const from = (top + row) * width + left;
        sample.set(luma.subarray(from, from + SIDE), at);
      }
    }
  }
  return sample;
}

function aligned(position: number): number {
  return Math.max(0, Math.floor(position / 8) * 8);
}

/**
 * Measures two consecutive pictures before and after restoration. Still blocks are chosen once, on the source, so
 * that both sides are measured at the same places.
 */
export function compareQuality(
  before: readonly [Sample, Sample],
  after: readonly [Sample, Sample],
): { before: PictureQuality; after: PictureQuality } {
  const means = blockMeans(before[0]);
  // How far a block's mean moved: motion does that, noise averages out.
  const still = quietest(blockMeans(before[1]).map((level, block) => Math.abs(level - means[block]!)));
  const quality = ([first, second]: readonly [Sample, Sample]): PictureQuality => ({
    noise: noise(first),
    blockiness: blockiness(first),
    flicker: mean(still.map((block) => meanChange(first, second, block))),
  });
  return { before: quality(before), after: quality(after) };
}

/**
 * Standard deviation of white noise, estimated where the picture is flattest (J. Immerkær, "Fast Noise Variance
 * Estimation", 1996: a Laplacian difference that is blind to planes and edges of constant slope).
 */
function noise(sample: Sample): number {
  const means = blockMeans(sample);
  const sigmas = blocks()
    .filter((block) => means[block]! >= CLIPPED.dark && means[block]! <= CLIPPED.bright)
    .map((block) => immerkaer(sample, block))
    .toSorted((a, b) => a - b);
  return sigmas[Math.floor(sigmas.length / 4)] ?? 0;
}

function immerkaer(sample: Sample, block: number): number {
  const at = (x: number, y: number) => sample[block * SIDE * SIDE + y * SIDE + x]!;
  let sum = 0;
  for (let y = 1; y < SIDE - 1; y++) {
    for (let x = 1; x < SIDE - 1; x++) {
      const corners = at(x - 1, y - 1) + at(x + 1, y - 1) + at(x - 1, y + 1) + at(x + 1, y + 1);
      const edges = at(x, y - 1) + at(x, y + 1) + at(x - 1, y) + at(x + 1, y);
      sum += Math.abs(corners - 2 * edges + 4 * at(x, y));
    }
  }
  return (Math.sqrt(Math.PI / 2) * sum) / (6 * (SIDE - 2) ** 2);
}

/** Mean luma step across the block edge in the middle, beyond the mean of the steps on both sides of it; never below 0. */
function blockiness(sample: Sample): number {
  const middle = SIDE / 2;
  let edge = 0;
  let beside = 0;
  for (const block of blocks()) {
    const at = (x: number, y: number) => sample[block * SIDE * SIDE + y * SIDE + x]!;
    for (let i = 0; i < SIDE; i++) {
      const across = (place: number) =>
        Math.abs(at(place, i) - at(place - 1, i)) + Math.abs(at(i, place) - at(i, place - 1));
      edge += across(middle);
      beside += (across(middle - 1) + across(middle + 1)) / 2;
    }
  }
  return Math.max(0, (edge - beside) / (2 * BLOCKS * SIDE));
}

function blocks(): number[] {
  return Array.from({ length: BLOCKS }, (_, block) => block);
}

function quietest(values: number[]): number[] {
  return blocks()
    .toSorted((a, b) => values[a]! - values[b]!)
    .slice(0, QUIET);
}

function blockMeans(sample: Sample): number[] {
  return blocks().map((block) => {
    let sum = 0;
    for (let i = block * SIDE * SIDE; i < (block + 1) * SIDE * SIDE; i++) sum += sample[i]!;
    return sum / SIDE ** 2;
  });
}

function meanChange(first: Sample, second: Sample, block: number): number {
  let sum = 0;
  for (let i = block * SIDE * SIDE; i < (block + 1) * SIDE * SIDE; i++) {
    sum += Math.abs(first[i]! - second[i]!);
  }
  return sum / SIDE ** 2;
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
