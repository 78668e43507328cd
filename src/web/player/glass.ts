const WRAP = 2 ** 32;
const TICKS_PER_MS = 90;
/** Figures outside are clock mistakes or another source's timestamps, not latencies. */
const PLAUSIBLE = { min: -250, max: 60_000 };
const KEEP = 256;
/** Samples older than this no longer describe what is seen now, ms. */
const RECENT = 10_000;

/**
 * When a frame arrived at the gateway: its RTP timestamp is the low 32 bits of Unix time in 90 kHz ticks
 * (contracts/media.ts), so the full time is the nearest one to `gatewayNow` (Unix ms) that ends in those bits.
 */
export function arrivalOfRtp(rtpTimestamp: number, gatewayNow: number): number {
  const nowTicks = Math.round(gatewayNow * TICKS_PER_MS);
  let age = (nowTicks - rtpTimestamp) % WRAP;
  if (age < 0) age += WRAP;
  if (age >= WRAP / 2) age -= WRAP;
  return (nowTicks - age) / TICKS_PER_MS;
}

export interface GlassSummary {
  p50: number;
  p95: number;
  samples: number;
}

/** Arrival-to-glass latencies of the frames this player showed, ms. */
export class GlassMeter {
  #recent: { at: number; ms: number }[] = [];
  #unsent: { ms: number; pts: number }[] = [];

  /** `at` is local time in ms; `arrival` the frame's time on the gateway's output clock, Unix ms. */
  add(ms: number, at: number, arrival: number): void {
    if (!(ms >= PLAUSIBLE.min && ms <= PLAUSIBLE.max)) return;
    const value = Math.max(0, ms);
    this.#recent.push({ at, ms: value });
    this.#unsent.push({ ms: Math.round(value * 10) / 10, pts: Math.round(arrival * TICKS_PER_MS) });
    if (this.#unsent.length > KEEP) this.#unsent.shift();
    if (this.#recent.length > 2 * KEEP) this.#recent = this.#recent.slice(-KEEP);
  }

  /** Samples not yet reported, at most 256, newest last, as `/events` takes them; they count as reported afterwards. */
  take(): { ms: number[]; pts: number[] } {
    const taken = this.#unsent;
    this.#unsent = [];
    return { ms: taken.map(({ ms }) => ms), pts: taken.map(({ pts }) => pts) };
  }

  /** Over the last 10 s; undefined without samples. */
  summary(now: number): GlassSummary | undefined {
    const sorted = this.#recent
      .filter(({ at }) => now - at <= RECENT)
      .map(({ ms }) => ms)
      .sort((a, b) => a - b);
    if (sorted.length === 0) return undefined;
    const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
    return { p50: at(0.5), p95: at(0.95), samples: sorted.length };
  }

  clear(): void {
    this.#recent = [];
    this.#unsent = [];
  }
}
