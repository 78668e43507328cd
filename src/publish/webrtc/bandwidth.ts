/** The least an unlimited path is taken for, bits per second. */
const START = 2_000_000;
/** Seconds a new viewer only listens: its first ones hold a connection's start and would lower everybody's picture. */
const WARM_UP = 3;
const FLOOR = 50_000;
const CEILING = 100_000_000;
/** What a path must lose before it counts as full: cameras on wireless links lose a few percent idle. */
const LOSSY = 0.1;
const GROWTH = 1.08;
/** An estimate below this share of two seconds' bitrate means an overused path, not a lagging estimate. */
const OVERUSED = 0.9;

/**
 * What one viewer's path carries, from the receiver's estimate (REMB, draft-alvestrand-rmcat-remb) and its reported
 * loss, as the sender side of Google congestion control does (draft-ietf-rmcat-gcc-02, 6).
 *
 * A receiver cannot see more than it is sent: its estimate stays near 1.5 times the current rate, however wide the
 * path. So an estimate counts only when it stays clearly below what is being sent (an overused path makes it 0.85 of
 * what arrives); otherwise the limit grows by 8 % a second.
 */
export class BandwidthEstimate {
  #limit: number | undefined;
  #remb: number | undefined;
  #sentBefore = 0;
  #seconds = 0;
  #limited = false;

  /** @param bps the receiver's estimate for all streams of the viewer */
  remb(bps: number): void {
    this.#remb = bps;
  }

  /**
   * Once a second.
   * @param sent bits per second sent over the last second
   * @param loss share of that second's packets that were lost, 0..1; single receiver reports cover too few of them
   * @returns bits per second the viewer can take, undefined while nothing is known
   */
  update(sent: number, loss: number): number | undefined {
    if (sent === 0) return this.#limit;
    this.#seconds++;
    const steady = Math.min(sent, this.#sentBefore);
    this.#sentBefore = sent;
    const limit = this.#limit ?? Math.max(START, sent);
    const remb = this.#remb ?? Number.POSITIVE_INFINITY;
    if (remb < steady * OVERUSED) return this.#set(Math.min(limit, remb), true);
    if (loss > LOSSY) return this.#set(Math.min(limit, sent) * (1 - loss / 2), true);
    if (this.#seconds < WARM_UP) return this.#limit;
    return this.#set(sent > limit / 4 ? limit * GROWTH : limit, this.#limited && limit < sent * 2);
  }

  /** Whether the path is what holds the bitrate down, as far as is known. */
  get limited(): boolean {
    return this.#limited;
  }

  #set(limit: number, limited: boolean): number {
    this.#limit = Math.min(CEILING, Math.max(FLOOR, limit));
    this.#limited = limited;
    return this.#limit;
  }
}
