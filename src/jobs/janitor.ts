import { isOver, type Job, type JobQueue } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import type { JobFolder } from './folder.ts';

const EVERY = 60_000;
/** What nobody touched for so long is nobody's, ms: longer than any pause in an upload. */
const ABANDONED = 15 * 60_000;

export interface JanitorOptions {
  queue: JobQueue;
  folder: JobFolder;
  /** Finished jobs that are kept: how many, their bytes in all, ms since they finished. */
  keep: { count: number; size: number; age: number };
  logger: Logger;
}

/** Keeps finished jobs within bounds and removes files that belong to nothing. */
export class Janitor {
  readonly #options: JanitorOptions;
  readonly #timer: NodeJS.Timeout;
  #sweeping: Promise<void> = Promise.resolve();

  constructor(options: JanitorOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.sweep(), EVERY);
    this.#timer.unref();
  }

  /**
   * Looks at everything once; never rejects.
   * @param abandoned ms after which a file without a job is removed; 0 when nobody can be writing
   */
  sweep(abandoned: number = ABANDONED): Promise<void> {
    this.#sweeping = this.#sweeping
      .then(() => this.#sweep(abandoned))
      .catch((error: Error) => this.#options.logger.warn({ err: error }, 'jobs could not be tidied up'));
    return this.#sweeping;
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#sweeping;
  }

  async #sweep(abandoned: number): Promise<void> {
    const { queue, folder, keep } = this.#options;
    const jobs = await queue.list();
    const over = jobs.filter(isOver).sort((a, b) => finished(b) - finished(a));
    let bytes = 0;
    for (const [at, job] of over.entries()) {
      // What failed or was cancelled keeps nothing but its record, unless it was asked for again just now.
      if (job.state !== 'done') {
        const state = (await queue.get(job.id))?.state;
        if (state === job.state) await folder.remove(job.id);
      }
      bytes += await folder.size(job.id);
      // One that is larger than `size` alone is still there for its owner to fetch.
      const tooMany = at >= keep.count || (at > 0 && bytes > keep.size);
      if (tooMany || Date.now() - finished(job) > keep.age) {
        await folder.remove(job.id);
        await queue.forget(job.id);
      }
    }
    const known = new Set(jobs.map(({ id }) => id));
    for (const { id, age } of await folder.jobs()) {
      if (known.has(id)) await folder.removeAttempts(id, abandoned);
      else if (age >= abandoned && !(await queue.get(id))) await folder.remove(id);
    }
    await folder.removeArrivals(abandoned);
  }
}

function finished(job: Job): number {
  return job.finished ?? job.created;
}
