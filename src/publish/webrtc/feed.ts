import type { Rendition } from '../../contracts/media.ts';
import type { PublishedStream, Subscription } from '../../contracts/publish.ts';
import type { ViewerWorker } from './viewer-worker.ts';

/** One rendition of one stream, from its single subscription to every worker that hosts a viewer of it. */
export class Feed {
  readonly id: number;
  readonly stream: string;
  readonly rendition: Rendition;
  readonly #subscription: Subscription;
  /** How many viewers of this feed each worker hosts. */
  readonly #workers = new Map<ViewerWorker, number>();
  readonly #estimates = new Map<string, number>();
  #wish: number | undefined;

  /** @param ended the stream was removed or disabled for good */
  constructor(id: number, stream: PublishedStream, rendition: Rendition, ended: () => void) {
    this.id = id;
    this.stream = stream.name;
    this.rendition = rendition;
    this.#subscription = stream.subscribe({
      rendition,
      audio: 'opus',
      sink: {
        video: ({ data, pts, key }) => {
          for (const worker of this.#workers.keys()) worker.video({ feed: id, data, pts, key });
        },
        audio: ({ data, pts }) => {
          for (const worker of this.#workers.keys()) worker.audio({ feed: id, data, pts });
        },
        discontinuity: () => {
          for (const worker of this.#workers.keys()) worker.post({ t: 'gap', feed: id });
        },
        end: ended,
      },
    });
  }

  get empty(): boolean {
    return this.#workers.size === 0;
  }

  add(worker: ViewerWorker): void {
    this.#workers.set(worker, (this.#workers.get(worker) ?? 0) + 1);
  }

  remove(worker: ViewerWorker, session: string): void {
    this.#estimates.delete(session);
    const left = (this.#workers.get(worker) ?? 0) - 1;
    if (left > 0) this.#workers.set(worker, left);
    else this.#workers.delete(worker);
  }

  requestKeyframe(): void {
    this.#subscription.requestKeyframe();
  }

  /** One encode serves all viewers of a rendition, so the narrowest path sets its bitrate. */
  estimate(session: string, bps: number): void {
    this.#estimates.set(session, bps);
    const wish = Math.round(Math.min(...this.#estimates.values()));
    if (this.#wish !== undefined && Math.abs(wish - this.#wish) < this.#wish * 0.05) return;
    this.#wish = wish;
    this.#subscription.setBitrate(wish);
  }

  close(): void {
    this.#subscription.close();
  }
}
