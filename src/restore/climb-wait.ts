/**
 * Wait after a step down before a step up is tried, ms; doubles, up to the most, with every climb in vain: so it is
 * about as long as the trouble has lasted.
 */
const FIRST = 10_000;
const MOST = 3_600_000;
/** A climb that held for so long was not in vain, ms. */
const HELD = 600_000;

/** How long to wait with the next step up: the less the last ones held, the longer. Times are ms of any clock. */
export class ClimbWait {
  private wait = FIRST;
  private fellAt = Number.NEGATIVE_INFINITY;
  private climbedAt = Number.NEGATIVE_INFINITY;

  fell(now: number): void {
    this.wait = now - this.climbedAt < HELD ? Math.min(this.wait * 2, MOST) : FIRST;
    this.fellAt = now;
  }

  climbed(now: number): void {
    this.climbedAt = now;
  }

  over(now: number): boolean {
    return now - this.fellAt >= this.wait;
  }

  /** What made climbs vain is not so any more. */
  reset(now: number): void {
    this.wait = FIRST;
    this.fellAt = now;
    this.climbedAt = Number.NEGATIVE_INFINITY;
  }
}
