/** Waits that double from `first` to `max` ms, each spread by a quarter so that many pages do not come at once. */
export class Backoff {
  readonly #first: number;
  readonly #max: number;
  #tries = 0;

  constructor(first: number, max: number) {
    this.#first = first;
    this.#max = max;
  }

  /** The next wait, ms. */
  next(): number {
    const wait = Math.min(this.#max, this.#first * 2 ** this.#tries++);
    return wait * (0.75 + Math.random() * 0.5);
  }

  reset(): void {
    this.#tries = 0;
  }
}
