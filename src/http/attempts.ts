import { isIPv6 } from 'node:net';
import { now as monotonic } from '../contracts/time.ts';

const MAX_CLIENTS = 10_000;

/** One household or host: an IPv6 client owns its whole /64. */
function clientOf(ip: string): string {
  if (!isIPv6(ip) || ip.startsWith('::ffff:')) return ip;
  const [head = '', tail] = ip.split('::');
  const left = head.split(':').filter((group) => group !== '');
  if (tail !== undefined) while (left.length < 4) left.push('0');
  return left.slice(0, 4).join(':');
}

/** Counts wrong credentials by client address, so that guessing is slow. Holds 10 000 addresses at most. */
export class Attempts {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #now: () => number;
  readonly #failures = new Map<string, { count: number; until: number }>();

  /** `max` failures in `windowMs`, then nothing more is tried for that client until the window ends. */
  constructor(max: number, windowMs: number, now: () => number = monotonic) {
    this.#max = max;
    this.#windowMs = windowMs;
    this.#now = now;
  }

  /** @param at what was tried, where the failures at one thing do not count for another */
  fail(ip: string, at = ''): void {
    const client = `${clientOf(ip)} ${at}`;
    const known = this.#current(client);
    if (known) {
      known.count++;
      return;
    }
    // Insertion order is age order: the oldest window goes first.
    const oldest = this.#failures.keys().next();
    if (this.#failures.size >= MAX_CLIENTS && !oldest.done) this.#failures.delete(oldest.value);
    this.#failures.set(client, { count: 1, until: this.#now() + this.#windowMs });
  }

  /** Seconds until this client may try again; 0 = now. */
  wait(ip: string, at = ''): number {
    const known = this.#current(`${clientOf(ip)} ${at}`);
    if (!known || known.count < this.#max) return 0;
    return Math.max(1, Math.ceil((known.until - this.#now()) / 1000));
  }

  #current(client: string): { count: number; until: number } | undefined {
    const known = this.#failures.get(client);
    if (known && known.until <= this.#now()) {
      this.#failures.delete(client);
      return undefined;
    }
    return known;
  }
}
