import { access, rename } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { JobsConfig } from '../config/jobs-schema.ts';
import { ClearwayError } from '../contracts/errors.ts';
import {
  type Container,
  isOver,
  type Job,
  type JobLimits,
  type JobOwner,
  type JobQueue,
  type JobRendition,
  type Jobs,
  type JobWish,
  type Received,
} from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import { attempts, videoTooLong } from './attempt.ts';
import { failureOf } from './failure.ts';
import type { JobFolder } from './folder.ts';
import { jobId } from './identity.ts';
import { append, type IntakeLimits, measureFile, receive, tooLarge } from './intake.ts';
import { Janitor } from './janitor.ts';
import type { JobMeter } from './meter.ts';
import { mediaType, plainName } from './names.ts';
import type { JobTools, Looked } from './tools.ts';
import { nextTurn } from './turns.ts';
import { settingsOf } from './wish.ts';

/** Finished jobs whose frame times are remembered. */
const REMEMBERED = 16;
export interface JobServiceOptions {
  config: JobsConfig;
  queue: JobQueue;
  folder: JobFolder;
  tools: JobTools;
  meter: JobMeter;
  logger: Logger;
}

/** Restores files: takes them in, queues them, has them restored, and keeps the results for a while. */
export class JobService implements Jobs {
  readonly limits: JobLimits;
  readonly uploads: string;
  readonly #options: JobServiceOptions;
  readonly #intake: IntakeLimits;
  readonly #janitor: Janitor;
  readonly #times = new Map<string, Promise<number[]>>();
  readonly #stops: (() => void)[];

  constructor(options: JobServiceOptions) {
    const { config, queue, folder, meter, logger } = options;
    this.#options = options;
    this.uploads = folder.uploads;
    this.#intake = { maxBytes: config.maxUpload, ensureRoom: (bytes) => folder.ensureRoom(bytes) };
    this.limits = {
      maxUpload: config.maxUpload,
      maxDuration: config.maxDuration / 1000,
      urls: config.allowedHosts.length > 0,
    };
    this.#janitor = new Janitor({ queue, folder, keep: config.keep, logger });
    this.#stops = [
      queue.onJob((job) => {
        meter.job(job);
        if (isOver(job)) void this.#janitor.sweep();
      }),
      queue.onForgotten((id) => {
        meter.forgotten(id);
        this.#times.delete(id);
      }),
    ];
  }

  /** Tidies up what an earlier run left and begins to work. */
  async start(): Promise<void> {
    const { queue, meter, config } = this.#options;
    // The embedded queue is this gateway's alone, so nobody else is writing here.
    await this.#janitor.sweep(config.redis === undefined ? 0 : undefined);
    for (const job of await queue.list().catch(() => [])) meter.job(job);
    queue.work(attempts({ ...this.#options, maxDuration: this.limits.maxDuration }));
  }

  /** Puts running jobs back into the queue. */
  async close(): Promise<void> {
    for (const stop of this.#stops) stop();
    await this.#janitor.close();
    await this.#options.queue.close();
  }

  async admit(): Promise<void> {
    const { queue, config } = this.#options;
    const waiting = (await queue.list()).filter(({ state }) => state === 'queued').length;
    if (waiting < config.maxQueued) return;
    throw new ClearwayError(
      'CLEARWAY_OVERLOADED',
      `${waiting} files wait to be restored already (jobs.maxQueued): try later.`,
      { status: 503, retryable: true, retryAfter: 60 },
    );
  }

  async admitSize(bytes: number): Promise<void> {
    if (bytes > this.limits.maxUpload) throw tooLarge(this.limits.maxUpload);
    await this.#options.folder.ensureRoom(bytes);
  }

  check(wish: JobWish): void {
    settingsOf(wish, this.#options.tools.models);
  }

  async receive(body: Readable, name: string): Promise<Received> {
    const path = this.#options.folder.arrival();
    return { path, name, ...(await receive(body, path, this.#intake)) };
  }

  append(body: Readable, path: string, offset: number): Promise<number> {
    return append(body, path, offset, this.#intake);
  }

  async fetch(url: string, signal: AbortSignal): Promise<Received> {
    const { body, name, bytes } = await this.#options.tools.fetch(url, signal);
    try {
      if (bytes !== undefined) await this.admitSize(bytes);
      return await this.receive(body, name);
    } catch (cause) {
      if (cause instanceof ClearwayError) throw cause;
      throw new ClearwayError(
        'CLEARWAY_SOURCE_UNREACHABLE',
        'The other host stopped in the middle of the file.',
        {
          status: 502,
          retryable: true,
          cause,
        },
      );
    } finally {
      body.destroy();
    }
  }

  async claim(upload: string, name: string): Promise<Received> {
    const path = this.#options.folder.arrival();
    await rename(upload, path);
    return { path, name, ...(await measureFile(path)) };
  }

  async discard({ path }: Received): Promise<void> {
    await this.#options.folder.discard(path);
  }

  async submit(received: Received, wish: JobWish, owner: JobOwner): Promise<Job> {
    const { queue, folder, tools, meter } = this.#options;
    try {
      const { input, fitsMp4 } = await tools.look(received.path);
      this.#checkDuration(input);
      const settings = settingsOf(wish, tools.models);
      const container: Container = wish.container === 'auto' ? (fitsMp4 ? 'mp4' : 'mkv') : wish.container;
      const id = jobId({
        sha256: received.sha256,
        settings,
        container,
        scope: owner.scope,
        models: tools.models,
      });
      const known = await this.#reusable(id);
      if (known) {
        meter.request(known.state === 'done' ? 'cached' : 'joined');
        return known;
      }
      await this.admit();
      await folder.adopt(received.path, id);
      const job = await queue.add({
        id,
        name: plainName(received.name),
        settings,
        container,
        owner: owner.name,
        turn: nextTurn(await queue.list(), owner.name),
        input: { bytes: received.bytes, ...input },
      });
      meter.request('created');
      return job;
    } catch (error) {
      meter.request('refused');
      throw error;
    } finally {
      await this.discard(received);
    }
  }

  get(id: string): Promise<Job | undefined> {
    return this.#options.queue.get(id);
  }

  list(): Promise<Job[]> {
    return this.#options.queue.list();
  }

  failure(job: Job): ClearwayError {
    return failureOf(job);
  }

  async whenOver(id: string, signal: AbortSignal): Promise<Job> {
    const { queue } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<Job>();
    const look = (job: Job | undefined) => {
      if (!job) reject(gone(id));
      else if (isOver(job)) resolve(job);
    };
    const aborted = () => reject(signal.reason);
    const stops = [
      queue.onJob((job) => job.id === id && look(job)),
      queue.onForgotten((forgotten) => forgotten === id && look(undefined)),
      () => signal.removeEventListener('abort', aborted),
    ];
    signal.addEventListener('abort', aborted);
    // It may reject while the queue is still asked, before anybody awaits it.
    promise.catch(() => {});
    try {
      signal.throwIfAborted();
      look(await queue.get(id));
      return await promise;
    } finally {
      for (const stop of stops) stop();
    }
  }

  async remove(job: Job): Promise<Job | undefined> {
    const { queue, folder } = this.#options;
    if (!isOver(job)) {
      const cancelled = await queue.cancel(job.id);
      await folder.remove(job.id);
      return cancelled;
    }
    // In this order: on a full disk its files make the room that forgetting it takes.
    await folder.remove(job.id);
    await queue.forget(job.id);
    return undefined;
  }

  async video(job: Job, rendition: JobRendition): Promise<{ path: string; type: string }> {
    const { folder } = this.#options;
    if (job.state === 'failed' || job.state === 'cancelled') throw failureOf(job);
    if (rendition === 'source') return { path: folder.source(job.id), type: mediaType(job.input) };
    this.#ensureDone(job);
    return { path: folder.result(job), type: job.container === 'mp4' ? 'video/mp4' : 'video/x-matroska' };
  }

  async frameTimes(job: Job): Promise<number[]> {
    const { path } = await this.video(job, 'restored');
    const known = this.#times.get(job.id);
    if (known) return known;
    const times = this.#options.tools.frameTimes(path);
    this.#times.set(job.id, times);
    times.catch(() => this.#times.delete(job.id));
    const oldest = this.#times.keys().next();
    if (this.#times.size > REMEMBERED && !oldest.done) this.#times.delete(oldest.value);
    return times;
  }

  async frame(job: Job, n: number, rendition: JobRendition, signal: AbortSignal): Promise<Uint8Array> {
    const times = await this.frameTimes(job);
    const time = times[n];
    if (time === undefined) {
      throw new ClearwayError(
        'CLEARWAY_FRAME_NOT_FOUND',
        `The video has ${times.length} frames, counted from 0.`,
        { status: 404 },
      );
    }
    const { path } = await this.video(job, rendition);
    return this.#options.tools.frameJpeg(path, time, signal);
  }

  onJob(listener: (job: Job) => void): () => void {
    return this.#options.queue.onJob(listener);
  }

  onForgotten(listener: (id: string) => void): () => void {
    return this.#options.queue.onForgotten(listener);
  }

  /** A job that answers the same request: done with its result there, or on its way. One that failed is forgotten. */
  async #reusable(id: string): Promise<Job | undefined> {
    const { queue, folder } = this.#options;
    const known = await queue.get(id);
    if (!known) return undefined;
    if (!isOver(known)) return known;
    const whole =
      known.state === 'done' &&
      (await access(folder.result(known)).then(
        () => true,
        () => false,
      ));
    if (whole) return known;
    await this.remove(known);
    // Its worker may still be at it, at another gateway.
    if (await queue.get(id)) {
      throw new ClearwayError('CLEARWAY_OVERLOADED', 'The same job is just being cancelled: try again.', {
        status: 503,
        retryable: true,
        retryAfter: 2,
      });
    }
    return undefined;
  }

  #checkDuration({ duration }: Looked['input']): void {
    const { maxDuration } = this.limits;
    if (duration !== undefined && duration > maxDuration) throw videoTooLong(maxDuration, duration);
  }

  #ensureDone(job: Job): void {
    if (job.state === 'done') return;
    throw new ClearwayError(
      'CLEARWAY_JOB_NOT_DONE',
      `The job is ${job.state}: its result is not there yet.`,
      {
        status: 409,
        retryable: true,
        retryAfter: Math.min(60, Math.max(1, job.progress?.left ?? 2)),
      },
    );
  }
}

function gone(id: string): ClearwayError {
  return new ClearwayError('CLEARWAY_JOB_NOT_FOUND', `Job ${id} was removed.`, { status: 404 });
}
