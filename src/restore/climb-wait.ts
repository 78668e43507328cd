interface Waits {
  /**
   * Wait after a step down before a step up is tried; doubles, up to the most, with every climb in vain: so it is
   * about as long as the trouble has lasted.
   */
  first: number;
  most: number;
  /** A climb that lasted so long was not in vain. */
  lasted: number;
}

const LADDER: Waits = { first: 10_000, most: 3_600_000, lasted: 600_000 };

/** How long to wait with the next step up: the less the last ones held, the longer. Times are ms of any clock. */
export class ClimbWait {
  private readonly waits: Waits;
  private wait: number;
  private fellAt = Number.NEGATIVE_INFINITY;
  private climbedAt = Number.NEGATIVE_INFINITY;

  constructor(waits = LADDER) {
    this.waits = waits;
    this.wait = waits.first;
  }

  fell(now: number): void {
    const { first, most, lasted } = this.waits;
    this.wait = now - this.climbedAt < lasted ? Math.min(this.wait * 2, most) : first;
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
    this.wait = this.waits.first;
    this.fellAt = now;
    this.climbedAt = Number.NEGATIVE_INFINITY;
  }
}
