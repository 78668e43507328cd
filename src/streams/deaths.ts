import type { ProviderStatus } from '../contracts/restorer.ts';

/** So many deaths of a running restorer within so long, ms, are its doing. */
const TOLERATED = 2;
const WITHIN = 60_000;
/** One that is left out is tried again after so long, ms: a driver may have been repaired. */
const LEFT_OUT = 600_000;

/**
 * Which providers, or encoders, took their restorer down. One that dies while it is opened would do so again at once;
 * one that runs may be struck by something else, once or twice.
 */
export class Deaths<Suspect extends string = ProviderStatus['provider']> {
  private readonly running = new Map<Suspect, number[]>();
  private readonly leftOut = new Map<Suspect, number>();

  /** Notes a death on a suspect; the CPU is never to blame. Returns whether it is left out from now on. */
  note(suspect: Suspect, opening: boolean, now: number): boolean {
    if (suspect === 'cpu') return false;
    const recent = [...(this.running.get(suspect) ?? []), now].filter((at) => now - at <= WITHIN);
    this.running.set(suspect, recent);
    if (!opening && recent.length <= TOLERATED) return false;
    this.leftOut.set(suspect, now);
    return true;
  }

  /** It was seen to work again. */
  forgive(suspect: Suspect): void {
    this.running.delete(suspect);
    this.leftOut.delete(suspect);
  }

  avoid(now: number): Suspect[] {
    return [...this.leftOut].filter(([, since]) => now - since < LEFT_OUT).map(([suspect]) => suspect);
  }
}
