const WINDOW = 5_000;

/** Speed of something that grows, over the last five seconds. */
export class Rate {
  #samples: { at: number; value: number }[] = [];

  /** Notes a value; returns its growth a second, undefined while too little is known. `at` in ms. */
  at(at: number, value: number): number | undefined {
    this.#samples = this.#samples.filter((sample) => at - sample.at <= WINDOW);
    const [first] = this.#samples;
    this.#samples.push({ at, value });
    if (first === undefined || at - first.at < 500) return undefined;
    return (value - first.value) / ((at - first.at) / 1000);
  }

  reset(): void {
    this.#samples = [];
  }
}
