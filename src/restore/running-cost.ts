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
/** The fastest run of so long, ms, says what a host can do: whatever else runs on it only adds time. */
const WINDOW = 60_000;

interface Entry {
  /** Times the figures measured at start. */
  factor: number;
  nextTrial: number;
  /** The same factor, of the fastest run of the window before and of this one. */
  before: number;
  fastest: number;
  windowSince: number;
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

  /**
   * The figures measured at start, corrected by what the fastest runs of the last minutes took: for decisions that
   * last. A model that has not run is taken to have become as slow as the slowest that has.
   */
  get lasting(): Record<string, ModelSpeed> {
    const ran = [...this.entries].filter(([, { windowSince }]) => Number.isFinite(windowSince));
    const factors = new Map(ran.map(([model, { before, fastest }]) => [model, Math.min(before, fastest)]));
    const slowest = Math.max(1, ...factors.values());
    return Object.fromEntries(
      Object.entries(this.speeds).map(([model, { fixed, perMegapixel }]) => {
        const factor = factors.get(model) ?? slowest;
        return [model, { fixed: fixed * factor, perMegapixel: perMegapixel * factor }];
      }),
    );
  }

  /** Notes what a run took that ended at `now`, ms. */
  ran(model: string, width: number, height: number, ms: number, now: number): void {
    const expected = this.expected(model, width, height);
    if (!expected) return;
    const entry = this.entry(model);
    this.noteFastest(entry, (ms / expected) * entry.factor, now);
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

  private noteFastest(entry: Entry, factor: number, now: number): void {
    if (now - entry.windowSince >= WINDOW) {
      entry.before = entry.fastest;
      entry.fastest = factor;
      entry.windowSince = now;
    } else entry.fastest = Math.min(entry.fastest, factor);
  }

  private entry(model: string): Entry {
    let entry = this.entries.get(model);
    if (!entry) {
      entry = { factor: 1, nextTrial: 0, before: 1, fastest: 1, windowSince: Number.NEGATIVE_INFINITY };
      this.entries.set(model, entry);
    }
    return entry;
  }
}
