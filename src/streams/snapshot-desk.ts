import type { ErrorInfo } from '../contracts/errors.ts';
import type { Rendition } from '../contracts/media.ts';

/** How long a snapshot may take: an on-demand camera has to connect first, ms. */
const TIMEOUT = 5000;

/** Unique among all streams: the restorer answers by id alone. */
let nextId = 1;

interface Pending {
  rendition: Rendition;
  /** Asked of the restorer already. */
  asked: boolean;
  resolve(jpeg: Uint8Array): void;
  reject(error: Error): void;
  timer: NodeJS.Timeout;
}

/** One stream's snapshots that are waited for. */
export class SnapshotDesk {
  private readonly pending = new Map<number, Pending>();
  private readonly ask: (id: number, rendition: Rendition) => void;
  private readonly failure: (why: string | undefined) => Error;

  /**
   * @param ask asks the restorer for one
   * @param failure the error for one that cannot be had
   */
  constructor(ask: (id: number, rendition: Rendition) => void, failure: (why: string | undefined) => Error) {
    this.ask = ask;
    this.failure = failure;
  }

  /** @param live whether the restorer can be asked now; otherwise `wentLive` asks. */
  request(rendition: Rendition, live: boolean): Promise<Uint8Array> {
    const id = nextId++;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.settle(id, {}), TIMEOUT);
      this.pending.set(id, { rendition, asked: live, resolve, reject, timer });
      if (live) this.ask(id, rendition);
    });
  }

  /** The stream shows pictures (again): asks for everything that still waits to be asked for. */
  wentLive(): void {
    for (const [id, entry] of this.pending) {
      if (entry.asked) continue;
      entry.asked = true;
      this.ask(id, entry.rendition);
    }
  }

  settle(id: number, outcome: { jpeg?: Uint8Array; error?: ErrorInfo }): void {
    const entry = this.pending.get(id);
    if (!entry) return;
    this.pending.delete(id);
    clearTimeout(entry.timer);
    if (outcome.jpeg) entry.resolve(outcome.jpeg);
    else entry.reject(this.failure(outcome.error?.message));
  }

  failAll(error: ErrorInfo): void {
    for (const id of [...this.pending.keys()]) this.settle(id, { error });
  }
}
