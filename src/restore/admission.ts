/** Share of an accelerator's time that streams may fill by climbing; the rest is for its bad moments. */
const ROOM = 0.75;
/** An accelerator this idle has nobody to protect. */
const IDLE = 0.05;
/** One climb at a time: the load of the last one must show before the next, ms. */
const SETTLE = 4000;

/**
 * Who may climb the ladder on a shared accelerator: one stream at a time, and only into room that is there. Without
 * it, overloaded streams would all step down, all climb again together, and none would be restored for long.
 */
export class Admission {
  private readonly load: () => number;
  private last = Number.NEGATIVE_INFINITY;

  /** @param load share of its time the accelerator is busy, 0..1 */
  constructor(load: () => number) {
    this.load = load;
  }

  /**
   * @param need share of the accelerator's time the stream would take
   * @param now ms; true counts as a climb made now
   */
  admits(need: number, now: number): boolean {
    if (now - this.last < SETTLE) return false;
    const load = this.load();
    if (load > IDLE && load + need > ROOM) return false;
    this.last = now;
    return true;
  }
}
