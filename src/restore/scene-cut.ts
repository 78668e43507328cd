/** Side of the blocks whose means are compared: averaging takes sensor noise out of the comparison. */
const BLOCK = 16;
/** Lines from which on blocks grow with the picture: more samples would tell no more. */
const FULL_SAMPLING = 540;
/** Mean absolute difference of block means, 8-bit steps, from which a change may be a cut. */
const FLOOR = 18;
/** ... and how many times the usual change of this scene it must be. */
const FACTOR = 4;

/** What is known of a scene. */
export interface Scene {
  /** Mean luma of each block of its newest picture; empty before the first. */
  means: Float32Array;
  /** Mean absolute difference of those between two pictures, running mean. */
  usual: number;
}

/**
 * Tells when a new scene begins, from luma alone. Noise averages out in the blocks, motion moves few of them, and
 * exposure drifts slowly; a cut changes most of them at once.
 */
export class SceneCutDetector {
  private means: Float32Array;
  private spare: Float32Array = new Float32Array(0);
  private usual: number;

  /** @param scene goes on with this one */
  constructor({ means, usual }: Scene = { means: new Float32Array(0), usual: 0 }) {
    this.means = means;
    this.usual = usual;
  }

  get scene(): Scene {
    return { means: this.means, usual: this.usual };
  }

  /** @param luma at least width * height bytes; true when this picture begins a new scene */
  next(luma: Uint8Array, width: number, height: number): boolean {
    const scale = Math.max(1, Math.floor(height / FULL_SAMPLING));
    const columns = Math.max(1, Math.floor(width / (BLOCK * scale)));
    const rows = Math.max(1, Math.floor(height / (BLOCK * scale)));
    const count = columns * rows;
    if (this.spare.length !== count) this.spare = new Float32Array(count);
    blockMeans(luma, width, height, columns, rows, scale, this.spare);
    const previous = this.means;
    this.means = this.spare;
    this.spare = previous;
    if (previous.length !== count) {
      this.usual = 0;
      return true;
    }
    let change = 0;
    for (let i = 0; i < count; i++) change += Math.abs(this.means[i]! - previous[i]!);
    change /= count;
    const cut = change > FLOOR && change > FACTOR * this.usual;
    if (!cut) this.usual += (change - this.usual) / 8;
    return cut;
  }

  reset(): void {
    this.means = new Float32Array(0);
  }
}

/** Every fourth row is enough; at twice the scale every eighth, and every second sample of it: 64 samples a block. */
function blockMeans(
  luma: Uint8Array,
  width: number,
  height: number,
  columns: number,
  rows: number,
  scale: number,
  out: Float32Array,
): void {
  const block = BLOCK * scale;
  const side = Math.min(block, width);
  const tall = Math.min(block, height);
  for (let by = 0; by < rows; by++) {
    for (let bx = 0; bx < columns; bx++) {
      let sum = 0;
      let samples = 0;
      for (let y = 0; y < tall; y += 4 * scale) {
        const at = (by * block + y) * width + bx * block;
        for (let x = 0; x < side; x += scale) sum += luma[at + x]!;
        samples += Math.ceil(side / scale);
      }
      out[by * columns + bx] = sum / samples;
    }
  }
}
