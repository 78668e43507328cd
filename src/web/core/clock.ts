interface Sample {
  /** Local time of the answer, Unix ms. */
  at: number;
  rtt: number;
  offset: number;
}

/** Older samples no longer count: clocks drift against each other by up to about 50 ppm. */
const WINDOW = 120_000;
/** That drift over the window, and as much again. */
const DRIFT = 12;
const MAX_SAMPLES = 64;

/** Local Unix time in ms that never steps while the page is open, unlike Date.now(). */
export const localNow = (): number => performance.timeOrigin + performance.now();

/**
 * The gateway's clock, estimated as NTP does (RFC 5905, clock filter): of the recent samples the one with the
 * shortest round trip is the least wrong, by at most half that round trip.
 */
export class GatewayClock {
  #samples: Sample[] = [];
  /** What its host's wall clock is ahead of the gateway's, ms. */
  #wallAhead = 0;

  /**
   * `t0` local time of asking, `remote` the gateway's time, `t1` local time of the answer, `wall` the time by which the
   * gateway dates what it tells; all Unix ms.
   */
  add(t0: number, remote: number, t1: number, wall = remote): void {
    const rtt = t1 - t0;
    if (!(rtt >= 0) || !Number.isFinite(remote)) return;
    const offset = remote - (t0 + t1) / 2;
    // One from before either host was suspended, which stops its clock, is further off than both can be wrong.
    const agrees = (sample: Sample) => Math.abs(sample.offset - offset) <= (sample.rtt + rtt) / 2 + DRIFT;
    this.#samples = this.#samples
      .filter((sample) => t1 - sample.at <= WINDOW && agrees(sample))
      .slice(1 - MAX_SAMPLES);
    this.#samples.push({ at: t1, rtt, offset });
    this.#wallAhead = wall - remote;
  }

  /** The time by which the gateway dates what it tells, as well as it is known, Unix ms. */
  now(): number {
    return localNow() + (this.offset ?? 0) + this.#wallAhead;
  }

  /** The clock of the gateway's pictures minus the local one, ms; undefined before the first sample. */
  get offset(): number | undefined {
    return this.#best?.offset;
  }

  /** How wrong `offset` can be, ms. */
  get uncertainty(): number | undefined {
    const best = this.#best;
    return best && best.rtt / 2;
  }

  get #best(): Sample | undefined {
    let best: Sample | undefined;
    for (const sample of this.#samples) if (best === undefined || sample.rtt < best.rtt) best = sample;
    return best;
  }
}
