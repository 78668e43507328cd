import { EventEmitter, once } from 'node:events';
import type { FileResult } from '../../src/contracts/file.ts';
import type { Job, JobOrder, JobQueue, JobRunner, RunOptions } from '../../src/contracts/jobs.ts';

export const RESULT: FileResult = {
  frames: 50,
  duration: 2,
  width: 320,
  height: 240,
  model: 'lite',
  provider: 'cpu',
  warnings: [],
};

export function order(id: string, change: Partial<JobOrder> = {}): JobOrder {
  return {
    id,
    name: `${id}.mp4`,
    settings: { model: 'auto', strength: 1, smoothing: 0.5, height: 'source', codec: 'h264', crf: undefined },
    container: 'mp4',
    owner: '127.0.0.1',
    turn: 0,
    input: { bytes: 1000, container: 'mp4', codec: 'h264', width: 320, height: 240, hasAudio: false },
    ...change,
  };
}

export interface Attempt {
  job: Job;
  options: RunOptions;
  finish(): void;
  fail(error: Error): void;
}

/** A runner whose jobs end when the test says so, or with an error when they are aborted. */
export class ManualRunner {
  readonly attempts: Attempt[] = [];
  readonly #events = new EventEmitter();

  readonly run: JobRunner = (job, options) =>
    new Promise((resolve, reject) => {
      const aborted = () => reject(new Error('aborted'));
      options.signal.addEventListener('abort', aborted, { once: true });
      this.attempts.push({ job, options, finish: () => resolve(RESULT), fail: reject });
      this.#events.emit('attempt');
    });

  /** The n-th attempt, counted from 0, once it has begun. */
  async attempt(n: number): Promise<Attempt> {
    while (this.attempts.length <= n) await once(this.#events, 'attempt');
    return this.attempts[n]!;
  }
}

/** Resolves with the job once it meets a condition. */
export async function until(
  queue: Pick<JobQueue, 'get' | 'onJob'>,
  id: string,
  condition: (job: Job) => boolean,
): Promise<Job> {
  const { promise, resolve } = Promise.withResolvers<Job>();
  const stop = queue.onJob((job) => {
    if (job.id === id && condition(job)) resolve(job);
  });
  try {
    const job = await queue.get(id);
    return job && condition(job) ? job : await promise;
  } finally {
    stop();
  }
}
