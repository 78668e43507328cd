import type { ClientEvent, ServerEvent } from '../../contracts/events.ts';
import { Backoff } from './backoff.ts';
import { GatewayClock, localNow } from './clock.ts';

const PING_EVERY = 10_000;
/** Pings right after connecting, so that the clock is good before the first picture. */
const FIRST_PINGS = 5;
const FIRST_PING_EVERY = 120;
/** A socket that answers no ping for this long is dead, whatever TCP thinks. */
const SILENCE = 25_000;

export interface EventsHandlers {
  event(event: ServerEvent): void;
  /** `true` once open; `false` once lost. */
  connected(connected: boolean): void;
}

/** `WS /events`: comes back by itself, and keeps the gateway's clock. */
export class Events {
  readonly clock = new GatewayClock();
  readonly #handlers: EventsHandlers;
  readonly #backoff = new Backoff(400, 8_000);
  #socket: WebSocket | undefined;
  #retry = 0;
  #ping = 0;
  #heard = 0;
  #open = false;
  #stopped = true;

  constructor(handlers: EventsHandlers) {
    this.#handlers = handlers;
    addEventListener('online', () => this.#hurry());
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.#hurry();
    });
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#retry);
    this.#socket?.close();
  }

  get connected(): boolean {
    return this.#open;
  }

  /** Sends now or not at all: what these messages say is stale after a reconnect. */
  send(event: ClientEvent): void {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(event));
  }

  #connect(): void {
    clearTimeout(this.#retry);
    const url = new URL('/events', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#open = true;
      this.#heard = localNow();
      this.#backoff.reset();
      this.#handlers.connected(true);
      this.#pingFrom(0);
    };
    socket.onmessage = (message) => this.#receive(message.data);
    socket.onclose = () => {
      clearTimeout(this.#ping);
      if (this.#socket !== socket) return;
      this.#open = false;
      this.#handlers.connected(false);
      if (!this.#stopped) this.#retry = window.setTimeout(() => this.#connect(), this.#backoff.next());
    };
  }

  #receive(data: unknown): void {
    if (typeof data !== 'string') return;
    this.#heard = localNow();
    let event: ServerEvent;
    try {
      event = JSON.parse(data) as ServerEvent;
    } catch {
      return;
    }
    if (event.type === 'pong') this.clock.add(event.t0, event.now, this.#heard, event.wall);
    else this.#handlers.event(event);
  }

  #pingFrom(count: number): void {
    if (localNow() - this.#heard > SILENCE) this.#socket?.close();
    this.send({ type: 'ping', t0: localNow() });
    this.#ping = window.setTimeout(
      () => this.#pingFrom(count + 1),
      count < FIRST_PINGS ? FIRST_PING_EVERY : PING_EVERY,
    );
  }

  #hurry(): void {
    if (this.#stopped || this.#open || this.#socket?.readyState === WebSocket.CONNECTING) return;
    this.#connect();
  }
}
