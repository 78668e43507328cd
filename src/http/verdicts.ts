import { createHmac, randomBytes } from 'node:crypto';
import { now } from '../contracts/time.ts';

const GOOD_MS = 5 * 60_000;
const BAD_MS = 30_000;
const MAX_ENTRIES = 2000;

/**
 * Remembers for a while whether a password was right, because checking one costs 80 ms and players ask several times
 * a second. Keys are keyed digests: neither passwords nor anything to guess them from stays in memory.
 */
export class Verdicts {
  readonly #key = randomBytes(32);
  readonly #known = new Map<string, { until: number; result: Promise<boolean> }>();

  /** The remembered verdict, or that of `check`; requests that come while it runs share it. `fresh`: `check` ran. */
  judge(
    secret: string,
    stored: string,
    check: () => Promise<boolean>,
  ): { fresh: boolean; result: Promise<boolean> } {
    const id = createHmac('sha256', this.#key)
      .update(JSON.stringify([secret, stored]))
      .digest('base64');
    const known = this.#known.get(id);
    if (known && known.until > now()) return { fresh: false, result: known.result };
    const result = check();
    const entry = { until: now() + GOOD_MS, result };
    const oldest = this.#known.keys().next();
    if (this.#known.size >= MAX_ENTRIES && !oldest.done) this.#known.delete(oldest.value);
    this.#known.delete(id);
    this.#known.set(id, entry);
    result.then(
      (right) => {
        if (!right) entry.until = now() + BAD_MS;
      },
      () => this.#known.delete(id),
    );
    return { fresh: true, result };
  }
}
