import type { ProviderStatus } from '../contracts/restorer.ts';

type Provider = ProviderStatus['provider'];

/** So many deaths of a running restorer within so long, ms, are the provider's doing. */
const TOLERATED = 2;
const WITHIN = 60_000;
/** A provider that is left out is tried again after so long, ms: a driver may have been repaired. */
const LEFT_OUT = 600_000;

/**
 * Which providers took their restorer down. One that dies while it is opened would do so again at once; one that runs
 * may be struck by something else, once or twice.
 */
export class Deaths {
  private readonly running = new Map<Provider, number[]>();
  private readonly leftOut = new Map<Provider, number>();

  /** Notes a death on a provider; the CPU is never to blame. Returns whether it is left out from now on. */
  note(provider: Provider, opening: boolean, now: number): boolean {
    if (provider === 'cpu') return false;
    const recent = [...(this.running.get(provider) ?? []), now].filter((at) => now - at <= WITHIN);
    this.running.set(provider, recent);
    if (!opening && recent.length <= TOLERATED) return false;
    this.leftOut.set(provider, now);
    return true;
  }

  /** It was seen to work again. */
  forgive(provider: Provider): void {
    this.running.delete(provider);
    this.leftOut.delete(provider);
  }

  avoid(now: number): Provider[] {
    return [...this.leftOut].filter(([, since]) => now - since < LEFT_OUT).map(([provider]) => provider);
  }
}
