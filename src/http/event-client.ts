import type { WebSocket } from 'ws';
import type { Control } from '../contracts/control.ts';
import type { ClientEvent } from '../contracts/events.ts';
import { now } from '../contracts/time.ts';
import { type Identity, may } from './auth.ts';
import { clientEventSchema } from './schemas.ts';

/** Bytes the socket may hold before newer states replace older ones instead of queueing up. */
const MAX_BUFFERED = 64 * 1024;
/** Messages a client may send: a burst, then this many a second. */
const BURST = 40;
const PER_SECOND = 20;

/** Close codes of RFC 6455, 7.4.1. */
const UNSUPPORTED_DATA = 1003;
const POLICY_VIOLATION = 1008;

/**
 * One WebSocket on /events. Of every stream and job only the newest event waits to be sent, so a slow client costs one
 * state of each, whatever happens, and sees the newest when it catches up.
 */
export class EventClient {
  alive = true;
  readonly #socket: WebSocket;
  readonly identity: Identity;
  readonly #control: Control;
  /** Serialised events by what they are about, in the order they became due. */
  readonly #waiting = new Map<string, string>();
  #allowance = BURST;
  #refilled = performance.now();

  constructor(socket: WebSocket, identity: Identity, control: Control) {
    this.#socket = socket;
    this.identity = identity;
    this.#control = control;
    socket.on('pong', () => {
      this.alive = true;
    });
    socket.on('message', (data, binary) => {
      if (binary) socket.close(UNSUPPORTED_DATA, 'text only');
      else this.#receive(String(data));
    });
    const streams = control.list().filter(({ name }) => this.maySee(name));
    this.#send(JSON.stringify({ type: 'streams', streams }));
  }

  maySee(stream: string): boolean {
    return may(this.identity, 'read', stream);
  }

  /** Sends an event now; a newer one with the same key takes its place while the client is not ready. */
  push(key: string, event: string): void {
    this.#waiting.delete(key);
    this.#waiting.set(key, event);
    this.#drain();
  }

  /** Checks that the last ping was answered and sends the next; a client that is gone is let go. */
  beat(): void {
    if (!this.alive) {
      this.#socket.terminate();
      return;
    }
    this.alive = false;
    this.#socket.ping();
  }

  #drain(): void {
    for (const [key, event] of this.#waiting) {
      if (this.#socket.bufferedAmount > MAX_BUFFERED) return;
      this.#waiting.delete(key);
      this.#send(event);
    }
  }

  #send(text: string): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(text, (error) => {
      if (!error && this.#waiting.size > 0) this.#drain();
    });
  }

  #receive(text: string): void {
    if (!this.#allowed()) {
      this.#socket.close(POLICY_VIOLATION, `at most ${PER_SECOND} messages a second`);
      return;
    }
    let event: ClientEvent;
    try {
      event = clientEventSchema.parse(JSON.parse(text));
    } catch {
      this.#socket.close(POLICY_VIOLATION, 'not a message of /events; see /docs');
      return;
    }
    if (event.type === 'ping') {
      if (this.#socket.bufferedAmount <= MAX_BUFFERED) {
        this.#send(JSON.stringify({ type: 'pong', t0: event.t0, now: now(), wall: Date.now() }));
      }
      return;
    }
    const { stream, protocol, ms, pts } = event;
    // A stream that was just removed is no fault of the player.
    if (this.maySee(stream) && this.#control.get(stream))
      this.#control.reportViewerLatency(stream, protocol, ms, pts);
  }

  /** Token bucket. */
  #allowed(): boolean {
    const at = performance.now();
    this.#allowance = Math.min(BURST, this.#allowance + ((at - this.#refilled) / 1000) * PER_SECOND);
    this.#refilled = at;
    if (this.#allowance < 1) return false;
    this.#allowance--;
    return true;
  }
}
