/** Points looked at, spread evenly over the picture. */
const COLUMNS = 64;
const ROWS = 36;
/** A point has changed when its luma moved by more than this, 8-bit levels: re-encoding alone moves it less. */
const POINT_CHANGE = 6;
/** So many changed points are a change of the picture: 0.3 %, a person far away. */
const CHANGED_POINTS = 7;
/** Mean change of all points, levels, that is live sensor noise even where no point moved far. */
const MEAN_CHANGE = 1;

/**
 * Tells for how long a camera has been sending the same picture, from a few thousand luma points a frame. The picture
 * is compared with the one the freeze began with, so that slow changes count and the encoder's own pulsing does not.
 */
export class FreezeDetector {
  private reference = new Uint8Array(0);
  private width = 0;
  private height = 0;
  private since = 0;
  private latest = 0;

  /** Seconds from the first to the newest frame of this content; 0 while it changes. */
  get seconds(): number {
    return (this.latest - this.since) / 1000;
  }

  /**
   * @param luma at least width * height bytes
   * @param at when the frame arrived, ms on any clock that only moves forward
   */
  next(luma: Uint8Array, width: number, height: number, at: number): void {
    const sample = samplePoints(luma, width, height);
    this.latest = at;
    if (width === this.width && height === this.height && !isChanged(this.reference, sample)) return;
    this.reference = sample;
    this.width = width;
    this.height = height;
    this.since = at;
  }

  /** The source is gone: what comes next is compared with nothing. */
  reset(): void {
    this.width = 0;
    this.since = this.latest;
  }
}

function samplePoints(luma: Uint8Array, width: number, height: number): Uint8Array<ArrayBuffer> {
  const points = new Uint8Array(COLUMNS * ROWS);
  for (let row = 0; row < ROWS; row++) {
    const at = Math.floor(((row + 0.5) * height) / ROWS) * width;
    for (let column = 0; column < COLUMNS; column++) {
      points[row * COLUMNS + column] = luma[at + Math.floor(((column + 0.5) * width) / COLUMNS)]!;
    }
  }
  return points;
}

function isChanged(before: Uint8Array, after: Uint8Array): boolean {
  let sum = 0;
  let changed = 0;
  for (let i = 0; i < after.length; i++) {
    const difference = Math.abs(after[i]! - before[i]!);
    sum += difference;
    if (difference > POINT_CHANGE) changed++;
  }
  return changed >= CHANGED_POINTS || sum > MEAN_CHANGE * after.length;
}
