/** A drag that pauses this long is applied where it is. */
const DEBOUNCE_MS = 250;
/** Status already under way when a change was confirmed still says the old value for this long. */
const SETTLE_MS = 3_000;

/**
 * Settings changed by hand: shown at once, sent when the hand rests, taken back when the gateway refuses. What the
 * gateway says is shown unless the hand is on it.
 */
export class SettingsSync<T extends object> {
  readonly #send: (patch: Partial<T>) => Promise<unknown>;
  readonly #show: (settings: Partial<T>) => void;
  readonly #failed: (error: unknown) => void;
  #confirmed: Partial<T> = {};
  #pending: Partial<T> = {};
  #sending: Partial<T> | undefined;
  /** Changes just confirmed, until the status says the same. */
  #settling: Partial<T> = {};
  #settledAt = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `failed` gets the error, or undefined when the next change has none. */
  constructor(
    send: (patch: Partial<T>) => Promise<unknown>,
    show: (settings: Partial<T>) => void,
    failed: (error: unknown) => void,
  ) {
    this.#send = send;
    this.#show = show;
    this.#failed = failed;
  }

  /** The gateway's word. */
  heard(settings: Partial<T>): void {
    if (performance.now() - this.#settledAt > SETTLE_MS) this.#settling = {};
    for (const key of Object.keys(settings) as (keyof T)[]) {
      if (settings[key] === this.#settling[key]) delete this.#settling[key];
    }
    this.#confirmed = { ...this.#confirmed, ...settings, ...this.#settling };
    this.#show({ ...this.#confirmed, ...this.#sending, ...this.#pending });
  }

  /** The person's word. */
  change(patch: Partial<T>, now: boolean): void {
    this.#pending = { ...this.#pending, ...patch };
    this.#show(patch);
    clearTimeout(this.#timer);
    if (now) this.flush();
    else this.#timer = setTimeout(() => this.flush(), DEBOUNCE_MS);
  }

  /** Sends what is pending; one request at a time, so that the last word wins. */
  flush(): void {
    clearTimeout(this.#timer);
    if (this.#sending !== undefined || Object.keys(this.#pending).length === 0) return;
    const patch = this.#pending;
    this.#pending = {};
    this.#sending = patch;
    this.#send(patch).then(
      () => {
        this.#confirmed = { ...this.#confirmed, ...patch };
        this.#settling = { ...this.#settling, ...patch };
        this.#settledAt = performance.now();
        this.#settled(undefined);
      },
      (error: unknown) => {
        this.#settled(error);
        this.#show({ ...this.#confirmed, ...this.#pending });
      },
    );
  }

  #settled(error: unknown): void {
    this.#sending = undefined;
    this.#failed(error);
    this.flush();
  }
}
