import {
  type Job as BullJob,
  Queue,
  QueueEvents,
  type QueueEventsListener,
  QueueEventsProducer,
  UnrecoverableError,
  WaitingError,
  Worker,
} from 'bullmq';
import { Redis } from 'ioredis';
import { ClearwayError, type ErrorInfo, errorInfo } from '../contracts/errors.ts';
import type { FileProgress, FileResult } from '../contracts/file.ts';
import {
  isOver,
  type Job,
  type JobOrder,
  type JobQueue,
  type JobRunner,
  type JobState,
  MAX_ATTEMPTS,
} from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import { JobAnnouncer } from './announcer.ts';
import { limited } from './progress.ts';

const NAME = 'clearway-jobs';
const RETRY_AFTER = 2000;
/** BullMQ's lowest priority; 0 would be before all others. */
const LAST_PRIORITY = 2 ** 21;
/** What every command must be answered in, ms: a caller is told that Redis is gone instead of waiting for it. */
const COMMAND_TIMEOUT = 5000;

/** How long closing may take, ms. */
const CLOSE_TIMEOUT = 2000;

/** BullMQ's states in ours. */
const STATES = {
  active: 'running',
  completed: 'done',
  failed: 'failed',
  prioritized: 'queued',
  waiting: 'queued',
  delayed: 'queued',
} as const satisfies Record<string, JobState>;

type Data = JobOrder & { cancelled?: number };
type Bull = BullJob<Data, FileResult, string, FileProgress>;

export interface RedisQueueOptions {
  url: string;
  concurrency: number;
  /** A worker that is silent for so long loses its job to another, ms. */
  takeover: number;
  logger: Logger;
}

/**
 * The queue of several gateways, in Redis by BullMQ. A worker holds a lock on its job and renews it; when it dies the
 * lock runs out and another gateway takes the job up (BullMQ calls it stalled).
 */
export class RedisQueue extends JobAnnouncer implements JobQueue {
  readonly #options: RedisQueueOptions;
  readonly #commands: Redis;
  readonly #queue: Queue<Bull>;
  readonly #told: QueueEvents;
  readonly #producer: QueueEventsProducer;
  readonly #aborts = new Map<string, AbortController>();
  /** What was said of Redis since it last was there: every connection says it, at every attempt to come back. */
  readonly #said = new Set<string>();
  #worker: Worker<Data, FileResult, string> | undefined;
  #closing = false;

  constructor(options: RedisQueueOptions) {
    super();
    this.#options = options;
    this.#commands = new Redis(options.url, { maxRetriesPerRequest: 1, commandTimeout: COMMAND_TIMEOUT });
    this.#commands.on('error', (error) => this.#complain(error));
    this.#commands.on('ready', () => this.#welcome());
    this.#queue = new Queue(NAME, { connection: this.#commands, skipMetasUpdate: true });
    this.#producer = new QueueEventsProducer(NAME, { connection: this.#commands });
    this.#told = new QueueEvents(NAME, { connection: this.#blocking() });
    const complain = (error: Error) => this.#complain(error);
    this.#queue.on('error', complain);
    this.#producer.on('error', complain);
    this.#told.on('error', complain);
    const changed = ({ jobId }: { jobId: string }) => void this.#announce(jobId);
    for (const event of [
      'added',
      'active',
      'progress',
      'completed',
      'failed',
      'delayed',
      'stalled',
    ] as const) {
      this.#told.on(event, changed);
    }
    this.#told.on('removed', ({ jobId }) => this.events.emit('forgotten', jobId));
    this.#told.on<CancelListener>('cancel', ({ jobId }: { jobId: string }) => {
      this.#aborts.get(jobId)?.abort();
      changed({ jobId });
    });
  }

  async add(order: JobOrder): Promise<Job> {
    return this.#ask(async () => {
      await this.#queue.add('restore', order, {
        jobId: order.id,
        attempts: MAX_ATTEMPTS,
        backoff: { type: 'fixed', delay: RETRY_AFTER },
        priority: Math.min(order.turn + 1, LAST_PRIORITY),
      });
      return (await this.#find(order.id))!;
    });
  }

  get(id: string): Promise<Job | undefined> {
    return this.#ask(() => this.#find(id));
  }

  list(): Promise<Job[]> {
    return this.#ask(async () => {
      // One script reads all the lists, so that a job on its way from one to another is not missed.
      const ids = await this.#queue.getRanges(Object.keys(STATES) as (keyof typeof STATES)[]);
      const found = await Promise.all(ids.map((id) => this.#find(id)));
      return found.filter((job) => job !== undefined).sort((a, b) => b.created - a.created);
    });
  }

  cancel(id: string): Promise<Job | undefined> {
    return this.#ask(async () => {
      const bull = await this.#queue.getJob(id);
      if (!bull) return undefined;
      const job = toJob(bull, await bull.getState());
      if (isOver(job)) return job;
      await bull.updateData({ ...bull.data, cancelled: Date.now() });
      // Whichever gateway runs it hears of it; one that takes it up later sees the mark.
      await this.#producer.publishEvent({ eventName: 'cancel', jobId: id });
      return this.#find(id);
    });
  }

  async forget(id: string): Promise<void> {
    await this.#ask(async () => {
      const bull = await this.#queue.getJob(id);
      // One that was cancelled a moment ago may still be held by its worker; it goes with its own end.
      await bull?.remove().catch(() => undefined);
    });
  }

  work(run: JobRunner): void {
    const { concurrency, takeover } = this.#options;
    this.#worker = new Worker<Data, FileResult, string>(
      NAME,
      (bull, token) => this.#do(bull as Bull, token!, run),
      {
        connection: this.#blocking(),
        concurrency,
        lockDuration: takeover,
        stalledInterval: takeover,
        maxStalledCount: MAX_ATTEMPTS - 1,
      },
    );
    this.#worker.on('error', (error) => this.#complain(error));
  }

  async close(): Promise<void> {
    if (this.#closing) return;
    this.#closing = true;
    for (const abort of this.#aborts.values()) abort.abort();
    // Without Redis there is nothing to say goodbye to, and BullMQ would wait for it.
    const gone = this.#commands.status !== 'ready';
    await inTime(this.#worker?.close(gone), CLOSE_TIMEOUT).catch(() => {});
    const told = this.#told.close();
    if (gone) await this.#told.getBackend().close(true);
    const rest = [this.#queue.close(), this.#producer.close(), told];
    await inTime(Promise.allSettled(rest), gone ? 0 : CLOSE_TIMEOUT).catch(() => {});
    this.#commands.disconnect();
  }

  async #do(bull: Bull, token: string, run: JobRunner): Promise<FileResult> {
    const abort = new AbortController();
    this.#aborts.set(bull.id!, abort);
    try {
      const cancelled = (await this.#queue.getJob(bull.id!))?.data.cancelled !== undefined;
      if (cancelled) throw new ClearwayError('CLEARWAY_JOB_CANCELLED', 'The job was cancelled.');
      const onProgress = limited((progress) => {
        bull.updateProgress(progress).catch((error: Error) => this.#complain(error));
      });
      return await run(toJob(bull, 'active'), { signal: abort.signal, onProgress });
    } catch (cause) {
      const marked =
        (await this.#queue.getJob(bull.id!).catch(() => undefined))?.data.cancelled !== undefined;
      if (this.#closing && !marked) {
        await bull.moveToWait(token);
        throw new WaitingError();
      }
      const info = errorInfo(cause);
      const text = JSON.stringify(info);
      throw info.retryable && !marked ? new Error(text) : new UnrecoverableError(text);
    } finally {
      this.#aborts.delete(bull.id!);
    }
  }

  async #find(id: string): Promise<Job | undefined> {
    // The state first: what the job holds may then be newer, but never lacks what its state promises.
    const state = await this.#queue.getJobState(id);
    const bull = await this.#queue.getJob(id);
    return bull && toJob(bull, state);
  }

  async #announce(id: string): Promise<void> {
    if (this.#closing || this.events.listenerCount('job') === 0) return;
    const job = await this.#find(id).catch(() => undefined);
    if (job) this.events.emit('job', job);
  }

  /** A connection that waits for Redis for ever, as BullMQ wants it where it blocks. */
  #blocking() {
    return { url: this.#options.url, maxRetriesPerRequest: null };
  }

  #complain(error: Error): void {
    if (this.#closing || this.#said.has(error.message)) return;
    this.#said.add(error.message);
    this.#options.logger.warn(
      { err: error },
      'the queue in Redis (jobs.redis) fails: files wait until it answers',
    );
  }

  #welcome(): void {
    if (this.#said.size > 0) this.#options.logger.info('Redis (jobs.redis) answers again');
    this.#said.clear();
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await inTime(question(), COMMAND_TIMEOUT);
    } catch (cause) {
      if (cause instanceof ClearwayError) throw cause;
      throw new ClearwayError('CLEARWAY_QUEUE_DOWN', 'Redis (jobs.redis) does not answer; try again.', {
        status: 503,
        retryable: true,
        retryAfter: 5,
        cause,
      });
    }
  }
}

/** Rejects when something takes longer than `ms`. */
async function inTime<T>(promise: T, ms: number): Promise<Awaited<T>> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

interface CancelListener extends QueueEventsListener {
  cancel: (event: { jobId: string }, id: string) => void;
}

function toJob(bull: Bull, state: string): Job {
  const { cancelled, ...order } = bull.data;
  const mapped = STATES[state as keyof typeof STATES] ?? 'queued';
  const error = bull.failedReason ? readError(bull.failedReason) : undefined;
  const finished = cancelled ?? bull.finishedOn;
  const progress = typeof bull.progress === 'object' ? bull.progress : undefined;
  return {
    ...order,
    state: cancelled === undefined || mapped === 'done' ? mapped : 'cancelled',
    created: bull.timestamp,
    ...(bull.processedOn === undefined ? {} : { started: bull.processedOn }),
    ...(finished === undefined ? {} : { finished }),
    attempts: bull.attemptsStarted,
    ...(progress && mapped === 'running' ? { progress } : {}),
    ...(error && mapped !== 'done' ? { error } : {}),
    ...(mapped === 'done' && bull.returnvalue ? { result: bull.returnvalue } : {}),
  };
}

function readError(reason: string): ErrorInfo {
  try {
    return JSON.parse(reason) as ErrorInfo;
  } catch {
    // BullMQ's own words: the lock ran out too often.
    return {
      code: 'CLEARWAY_JOB_ABANDONED',
      message: `The gateways that restored this file ended, ${MAX_ATTEMPTS} times: ${reason}`,
      retryable: false,
    };
  }
}
