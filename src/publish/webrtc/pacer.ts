import type { Payload } from './rtp-stream.ts';

/** Bytes that may leave at once: an ordinary picture never waits. */
const BURST = 32 * 1200;
/** How long the oldest packet may wait, ms, before the viewer is behind and skips to the next keyframe. */
const MAX_AGE = 1000;
const TICK = 5;

interface Waiting extends Payload {
  timestamp: number;
  at: number;
}

/** Spreads a keyframe's packets out so that they fit through the viewer's path, first in, first out. */
export class Pacer {
  /** Bits per second beyond the burst. */
  rate = 20_000_000;
  readonly #send: (payload: Payload, timestamp: number) => void;
  #queue: Waiting[] = [];
  #budget = BURST;
  #refilled = performance.now();
  #timer: NodeJS.Timeout | undefined;

  constructor(send: (payload: Payload, timestamp: number) => void) {
    this.#send = send;
  }

  /** Whether the viewer's path is so slow that what waits is too old to be worth sending. */
  get behind(): boolean {
    const [oldest] = this.#queue;
    return oldest !== undefined && performance.now() - oldest.at > MAX_AGE;
  }

  push(payloads: readonly Payload[], timestamp: number): void {
    const at = performance.now();
    for (const payload of payloads) this.#queue.push({ ...payload, timestamp, at });
    if (this.#timer === undefined) this.#drain();
  }

  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#queue = [];
  }

  #drain(): void {
    this.#timer = undefined;
    const now = performance.now();
    this.#budget = Math.min(BURST, this.#budget + ((now - this.#refilled) * this.rate) / 8000);
    this.#refilled = now;
    let sent = 0;
    for (; sent < this.#queue.length && this.#budget > 0; sent++) {
      const { timestamp, ...payload } = this.#queue[sent]!;
      this.#budget -= payload.data.length;
      this.#send(payload, timestamp);
    }
    this.#queue.splice(0, sent);
    if (this.#queue.length > 0) this.#timer = setTimeout(() => this.#drain(), TICK);
  }
}
