import type { ServerEvent } from '../../contracts/events.ts';
import type { StreamStatus } from '../../contracts/stream.ts';
import { titleOf } from './state.ts';

/** As people read: cam2 before cam10. */
const order = new Intl.Collator('en', { numeric: true });

/** Every stream's newest status, and whether it is being kept fresh. */
export class Store {
  readonly #streams = new Map<string, StreamStatus>();
  readonly #listeners = new Set<() => void>();
  #connected = false;
  /** False until the first list arrived. */
  loaded = false;
  /** Why the gateway does not give the list, in its words; empty where it did, or does not answer. */
  refusal = '';

  get connected(): boolean {
    return this.#connected;
  }

  get(name: string): StreamStatus | undefined {
    return this.#streams.get(name);
  }

  /** By what people call them. */
  list(): StreamStatus[] {
    return [...this.#streams.values()].sort(
      (a, b) => order.compare(titleOf(a), titleOf(b)) || (a.name < b.name ? -1 : 1),
    );
  }

  /** Calls `listener` after every change until `signal` aborts. */
  watch(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  apply(event: ServerEvent): void {
    if (event.type === 'streams') this.replace(event.streams);
    else if (event.type === 'stream') this.put(event.stream);
    else if (event.type === 'removed') this.drop(event.name);
  }

  replace(streams: StreamStatus[]): void {
    this.#streams.clear();
    for (const stream of streams) this.#streams.set(stream.name, stream);
    this.loaded = true;
    this.refusal = '';
    this.#changed();
  }

  /** Forgets everything: who looks next may see other streams. */
  reset(): void {
    this.#streams.clear();
    this.loaded = false;
    this.refusal = '';
    this.#changed();
  }

  refuse(why: string): void {
    this.refusal = why;
    this.#changed();
  }

  put(stream: StreamStatus): void {
    this.#streams.set(stream.name, stream);
    this.#changed();
  }

  drop(name: string): void {
    if (this.#streams.delete(name)) this.#changed();
  }

  setConnected(connected: boolean): void {
    this.#connected = connected;
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
