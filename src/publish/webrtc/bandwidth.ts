/** Where an estimate starts, bits per second, until the path has said something. */
const START = 2_000_000;
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
  #loss = 0;
  #sentBefore = 0;

  /** @param bps the receiver's estimate for all streams of the viewer */
  remb(bps: number): void {
    this.#remb = bps;
  }

  /** @param fraction packets lost since the last report, 0..1 */
  loss(fraction: number): void {
    this.#loss = Math.max(this.#loss, fraction);
  }

  /**
   * Once a second.
   * @param sent bits per second sent over the last second
   * @returns bits per second the viewer can take, undefined while nothing has been sent
   */
  update(sent: number): number | undefined {
    if (sent === 0) return this.#limit;
    const limit = this.#limit ?? Math.max(START, sent);
    const remb = this.#remb ?? Number.POSITIVE_INFINITY;
    let next = limit;
    const steady = Math.min(sent, this.#sentBefore);
    this.#sentBefore = sent;
    if (remb < steady * OVERUSED) next = Math.min(limit, remb);
    else if (this.#loss > LOSSY) next = Math.min(limit, sent) * (1 - this.#loss / 2);
    else if (sent > limit / 4) next = limit * GROWTH;
    this.#loss = 0;
    this.#limit = Math.min(CEILING, Math.max(FLOOR, next));
    return this.#limit;
  }

  /** Whether the path has ever been the limit. */
  get limited(): boolean {
    return this.#limit !== undefined && this.#limit < START;
  }
}
