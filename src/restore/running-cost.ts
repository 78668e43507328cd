import type { ModelSpeed } from '../contracts/restorer.ts';
import { estimate } from './estimate.ts';

/** Weight of a run that took longer than expected; one that took less is believed at once: noise only adds time. */
const SLOWER = 1 / 8;
/** A first run at a new size allocates and compiles: one sample counts at most so many times what was expected. */
const OUTLIER = 4;
const FACTOR_LEAST = 0.02;
const FACTOR_MOST = 100;
/** Between two trials of a model whose estimate says no, ms, and so many times its cost: 5 % of the accelerator. */
const TRIAL_EVERY = 400;
const TRIAL_SHARE = 20;

interface Entry {
  /** Times the figures measured at start. */
  factor: number;
  nextTrial: number;
}

/**
 * What a frame costs on this accelerator now: the figures measured at start, corrected by how long runs really take,
 * so that a host that was busy then, or is busy now, is judged by what it does. One for all streams of an accelerator.
 */
export class RunningCost {
  private speeds: Record<string, ModelSpeed>;
  private readonly entries = new Map<string, Entry>();

  constructor(speeds: Record<string, ModelSpeed>) {
    this.speeds = speeds;
  }

  /** Begins anew with other figures. */
  restart(speeds: Record<string, ModelSpeed>): void {
    this.speeds = speeds;
    this.entries.clear();
  }

  /** ms one frame of a model is expected to take; undefined for a model that cannot be used. */
  expected(model: string, width: number, height: number): number | undefined {
    const speed = this.speeds[model];
    return speed && estimate(speed, width, height) * this.entry(model).factor;
  }

  /** The same with the accelerator to itself: no more than was measured at start, before there were streams. */
  atBest(model: string, width: number, height: number): number | undefined {
    const speed = this.speeds[model];
    return speed && estimate(speed, width, height) * Math.min(1, this.entry(model).factor);
  }

  /** Notes what a run took, ms. */
  ran(model: string, width: number, height: number, ms: number): void {
    const expected = this.expected(model, width, height);
    if (!expected) return;
    const entry = this.entry(model);
    const ratio = Math.min(OUTLIER, ms / expected);
    const factor = entry.factor * (ratio < 1 ? ratio : 1 + (ratio - 1) * SLOWER);
    entry.factor = Math.min(FACTOR_MOST, Math.max(FACTOR_LEAST, factor));
  }

  /**
   * Whether a frame is to be restored although its estimate says that it will be late: without a run now and then a
   * wrong estimate would stay wrong.
   */
  trial(model: string, width: number, height: number, now: number): boolean {
    const entry = this.entry(model);
    if (now < entry.nextTrial) return false;
    entry.nextTrial = now + Math.max(TRIAL_EVERY, TRIAL_SHARE * (this.expected(model, width, height) ?? 0));
    return true;
  }

  private entry(model: string): Entry {
    let entry = this.entries.get(model);
    if (!entry) {
      entry = { factor: 1, nextTrial: 0 };
      this.entries.set(model, entry);
    }
    return entry;
  }
}
