/**
 * Share of frames that must miss their deadline for a step down, over this many frames: four seconds at 25 fps. Short
 * trouble (a browser starting beside us) needs no step, since each late frame passes through by itself.
 */
const MISS_SHARE = 0.5;
const WINDOW = 100;
/** First wait before trying a step up again, ms; doubles each time the higher step fails soon after. */
const CLIMB_AFTER = 10_000;
const CLIMB_AFTER_MOST = 300_000;

/**
 * Which model a stream runs, from what was wanted (step 0) down to passing frames through. Frames that miss their
 * deadline in numbers take a step down; a wait that grows with every failed climb takes one up.
 */
export class Ladder {
  private steps: string[];
  private at = 0;
  private misses: boolean[] = [];
  private climbAfter = CLIMB_AFTER;
  private steppedAt: number;
  /** The last step was a climb. */
  private climbed = false;

  /** @param steps model names, heaviest first; `none` is added as the last */
  constructor(steps: string[], now: number) {
    this.steps = [...steps.filter((step) => step !== 'none'), 'none'];
    this.steppedAt = now;
  }

  get step(): number {
    return this.at;
  }

  get model(): string {
    return this.steps[this.at]!;
  }

  /** The step on which frames pass through. */
  get last(): Pick<Ladder, 'step' | 'model'> {
    return { step: this.steps.length - 1, model: 'none' };
  }

  /**
   * Notes one frame. Returns the step taken: 1 down, -1 up, 0 none.
   * @param mayClimb asked, when it is time to climb, whether there is room for the model above
   */
  observe(missed: boolean, now: number, mayClimb: (model: string) => boolean = () => true): -1 | 0 | 1 {
    this.misses.push(missed);
    if (this.misses.length > WINDOW) this.misses.shift();
    const missing = this.misses.filter(Boolean).length;
    if (this.misses.length === WINDOW && missing > MISS_SHARE * WINDOW && this.at < this.steps.length - 1) {
      if (this.climbed) {
        // A climb that did not hold for as long as it was waited for was in vain; one that did earns a new start.
        const held = now - this.steppedAt >= this.climbAfter;
        this.climbAfter = held ? CLIMB_AFTER : Math.min(this.climbAfter * 2, CLIMB_AFTER_MOST);
      }
      return this.move(1, now);
    }
    const rested = this.at > 0 && missing === 0 && now - this.steppedAt >= this.climbAfter;
    if (rested && mayClimb(this.steps[this.at - 1]!)) return this.move(-1, now);
    return 0;
  }

  private move(by: -1 | 1, now: number): -1 | 1 {
    this.at += by;
    this.climbed = by < 0;
    this.misses = [];
    this.steppedAt = now;
    return by;
  }
}
