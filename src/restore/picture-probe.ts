import type { StreamReport } from '../contracts/restorer.ts';
import { FreezeDetector } from './freeze-detector.ts';
import { compareQuality, type Sample, sampleBlocks } from './picture-quality.ts';
import type { FinishedFrame } from './renditions.ts';

/** Quality is measured on two frames this often, ms. It changes slowly, and code that runs so rarely is never fast. */
const EVERY = 30_000;
/** A freeze is looked for this often, ms. */
const LOOK_EVERY = 180;
/** Two frames further apart than this are not consecutive, 90 kHz ticks (0.5 s). */
const CONSECUTIVE = 45_000;

interface Sampled {
  pts: number;
  before: Sample;
  after: Sample;
}

/** Looks at one stream's pictures for its report: whether they move, and what restoration does to them. */
export class PictureProbe {
  private readonly freeze = new FreezeDetector();
  private lookedAt = Number.NEGATIVE_INFINITY;
  private dueAt = 0;
  private first: Sampled | undefined;
  private quality: StreamReport['quality'];

  /** Whether the next frames must bring their unrestored pictures along. `now` in ms, on any clock. */
  needSource(now: number): boolean {
    return now >= this.dueAt;
  }

  /** Every decoded frame; `arrival` in ms. */
  decoded(luma: Uint8Array, width: number, height: number, arrival: number): void {
    if (arrival - this.lookedAt < LOOK_EVERY) return;
    this.lookedAt = arrival;
    this.freeze.next(luma, width, height, arrival);
  }

  /** Every finished frame; `now` as for needSource(). */
  finished({ restored, source, width, height, pts }: FinishedFrame, now: number): void {
    if (now < this.dueAt || !source) return;
    const before = sampleBlocks(source, width, height);
    const after = sampleBlocks(restored, width, height);
    if (!before || !after) return;
    const { first } = this;
    this.first = { pts, before, after };
    if (!first || pts - first.pts > CONSECUTIVE || first.before.length !== before.length) return;
    this.quality = compareQuality([first.before, before], [first.after, after]);
    this.first = undefined;
    this.dueAt = now + EVERY;
  }

  /** The source is gone. */
  reset(): void {
    this.freeze.reset();
    this.first = undefined;
  }

  /** What is known since the last call. */
  take(): Pick<StreamReport, 'unchanged' | 'quality'> {
    const { quality } = this;
    this.quality = undefined;
    return { unchanged: this.freeze.seconds, ...(quality ? { quality } : {}) };
  }
}
