import { now } from '../../contracts/time.ts';

/** Bounds what a client that makes up session ids can cost. */
const MAX_SESSIONS = 10_000;
const SWEEP = 1000;

/** Who has asked for something lately, by stream: HLS viewers have no connection to count. */
export class Sessions {
  /** stream -> session -> Unix ms when it counts as gone. */
  readonly #streams = new Map<string, Map<string, number>>();
  readonly #onChange: (stream: string, viewers: number) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onChange: (stream: string, viewers: number) => void) {
    this.#onChange = onChange;
  }

  count(stream: string): number {
    return this.#streams.get(stream)?.size ?? 0;
  }

  /** A session is there, and for `ttl` ms more. */
  seen(stream: string, session: string, ttl: number): void {
    let sessions = this.#streams.get(stream);
    if (sessions === undefined) {
      sessions = new Map();
      this.#streams.set(stream, sessions);
    }
    const known = sessions.has(session);
    if (!known && sessions.size >= MAX_SESSIONS) return;
    sessions.set(session, now() + ttl);
    this.#timer ??= setInterval(() => this.#sweep(), SWEEP).unref();
    if (!known) this.#onChange(stream, sessions.size);
  }

  forget(stream: string): void {
    if (this.#streams.delete(stream)) this.#onChange(stream, 0);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const stream of [...this.#streams.keys()]) this.forget(stream);
  }

  #sweep(): void {
    const at = now();
    for (const [stream, sessions] of this.#streams) {
      const before = sessions.size;
      for (const [session, until] of sessions) if (until <= at) sessions.delete(session);
      if (sessions.size === 0) this.#streams.delete(stream);
      if (sessions.size !== before) this.#onChange(stream, sessions.size);
    }
    if (this.#streams.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
