/** Lets requests sleep until something they wait for has come true. */
export class Changes {
  readonly #waiting = new Set<() => void>();

  /** How many are asleep. */
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Call after every change a waiter could be interested in. */
  notify(): void {
    for (const check of [...this.#waiting]) check();
  }

  /**
   * Resolves to true as soon as `condition` holds, to false after `timeout` ms or when `signal` aborts (the client
   * hung up). A condition that throws rejects.
   */
  until(condition: () => boolean, timeout: number, signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', give);
        this.#waiting.delete(check);
        settle();
      };
      const give = () => finish(() => resolve(false));
      const check = () => {
        try {
          if (condition()) finish(() => resolve(true));
        } catch (error) {
          finish(() => reject(error));
        }
      };
      const timer = setTimeout(give, timeout);
      signal.addEventListener('abort', give);
      this.#waiting.add(check);
      if (signal.aborted) give();
      else check();
    });
  }
}
