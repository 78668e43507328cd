import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from 'node:sqlite';
import { setTimeout as setTimeoutAsync } from 'node:timers/promises';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import {
  isOver,
  type Job,
  type JobOrder,
  type JobQueue,
  type JobRunner,
  MAX_ATTEMPTS,
} from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import { JobAnnouncer } from './announcer.ts';
import { limited } from './progress.ts';

/** Wait before the next attempt of a job that failed for a passing reason, or at writing what came of it, ms. */
const RETRY_AFTER = 2000;
/** https://sqlite.org/rescode.html */
const SQLITE_FULL = 13;

/**
 * The queue of a single gateway, in an SQLite file. The whole job is one JSON column; state, turn and age are columns
 * because they are asked for. The file is locked while it is open, so that two gateways never share it.
 */
export class EmbeddedQueue extends JobAnnouncer implements JobQueue {
  readonly #db: DatabaseSync;
  readonly #concurrency: number;
  readonly #running = new Map<string, { abort: AbortController; ended: Promise<void> }>();
  /** Progress is worth nothing after a restart, so it stays in memory. */
  readonly #progress = new Map<string, Job['progress']>();
  #run: JobRunner | undefined;
  #retry: NodeJS.Timeout | undefined;
  readonly #closing = new AbortController();
  readonly #logger: Logger;
  /** What was written last did not get to the disk. */
  #unwritten = false;

  /** Opens or makes the file. Throws CLEARWAY_CONFIG_INVALID when another gateway has it open. */
  constructor(path: string, { concurrency, logger }: { concurrency: number; logger: Logger }) {
    super();
    this.#concurrency = concurrency;
    this.#logger = logger;
    this.#db = new DatabaseSync(path);
    try {
      this.#db.exec(`PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
        CREATE TABLE IF NOT EXISTS jobs (
          id TEXT PRIMARY KEY, state TEXT NOT NULL, turn INTEGER NOT NULL, created INTEGER NOT NULL, job TEXT NOT NULL
        ) STRICT;
        CREATE INDEX IF NOT EXISTS jobs_by_turn ON jobs (state, turn, created);`);
      this.#recover();
    } catch (cause) {
      this.#db.close();
      if (cause instanceof ClearwayError) throw cause;
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `Cannot open ${path}: ${(cause as Error).message}. If another gateway uses this jobs.directory, give this one its own, or let them share it with jobs.redis.`,
        { cause },
      );
    }
  }

  async add(order: JobOrder): Promise<Job> {
    const known = this.#find(order.id);
    if (known) return known;
    const job: Job = { ...order, state: 'queued', created: Date.now(), attempts: 0 };
    this.#save(job);
    this.#pump();
    return job;
  }

  async get(id: string): Promise<Job | undefined> {
    return this.#find(id);
  }

  async list(): Promise<Job[]> {
    const rows = this.#db.prepare('SELECT job FROM jobs ORDER BY created DESC, id').all();
    return rows.map((row) => this.#read(row));
  }

  async cancel(id: string): Promise<Job | undefined> {
    const job = this.#find(id);
    if (!job || isOver(job)) return job;
    const running = this.#running.get(id);
    this.#save({ ...job, state: 'cancelled', finished: Date.now() });
    running?.abort.abort();
    await running?.ended;
    return this.#find(id);
  }

  async forget(id: string): Promise<void> {
    if (this.#write('DELETE FROM jobs WHERE id = ?', id) > 0) this.events.emit('forgotten', id);
  }

  work(run: JobRunner): void {
    this.#run = run;
    this.#pump();
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort();
    clearTimeout(this.#retry);
    for (const { abort } of this.#running.values()) abort.abort();
    await Promise.all([...this.#running.values()].map(({ ended }) => ended));
    this.#db.close();
  }

  /** Jobs that ran when the gateway ended are queued again; one that ended it each time is given up. */
  #recover(): void {
    const rows = this.#db.prepare("SELECT job FROM jobs WHERE state = 'running'").all();
    for (const job of rows.map((row) => this.#read(row))) {
      if (job.attempts < MAX_ATTEMPTS) this.#save({ ...job, state: 'queued' });
      else
        this.#save({
          ...job,
          state: 'failed',
          finished: Date.now(),
          error: {
            code: 'CLEARWAY_JOB_ABANDONED',
            message: `The gateway ended ${MAX_ATTEMPTS} times while it restored this file.`,
            retryable: false,
          },
        });
    }
  }

  #pump(): void {
    try {
      this.#begin();
    } catch {
      // The log has it. What cannot be read or written now may be later.
      this.#pause();
    }
  }

  #begin(): void {
    const run = this.#run;
    if (!run || this.#closing.signal.aborted) return;
    const next = this.#db.prepare(
      "SELECT job FROM jobs WHERE state = 'queued' ORDER BY turn, created, rowid LIMIT 1",
    );
    while (this.#running.size < this.#concurrency && this.#retry === undefined) {
      const row = next.get();
      if (!row) return;
      const job: Job = this.#read(row);
      const { error: _last, ...rest } = job;
      const begun: Job = { ...rest, state: 'running', started: Date.now(), attempts: job.attempts + 1 };
      this.#save(begun);
      const abort = new AbortController();
      const ended = this.#do(begun, run, abort.signal).finally(() => {
        this.#running.delete(job.id);
        this.#progress.delete(job.id);
        this.#pump();
      });
      this.#running.set(job.id, { abort, ended });
    }
  }

  async #do(job: Job, run: JobRunner, signal: AbortSignal): Promise<void> {
    const onProgress = limited((progress) => {
      this.#progress.set(job.id, progress);
      let now: Job | undefined;
      try {
        now = this.#find(job.id);
      } catch {
        // A disk that does not answer: the next progress is told, and an error here would end the gateway.
      }
      if (now?.state === 'running') this.events.emit('job', now);
    });
    try {
      const result = await run(job, { signal, onProgress });
      await this.#settle(job, { ...job, state: 'done', finished: Date.now(), result });
    } catch (cause) {
      const error = errorInfo(cause);
      if (signal.aborted && this.#closing.signal.aborted) {
        await this.#settle(job, { ...job, state: 'queued', attempts: job.attempts - 1 });
      } else if (error.retryable && job.attempts < MAX_ATTEMPTS) {
        await this.#settle(job, { ...job, state: 'queued', error });
        this.#pause();
      } else await this.#settle(job, { ...job, state: 'failed', finished: Date.now(), error });
    }
  }

  /** What fails for a passing reason (a restorer that starts again) would fail for every other job too. */
  #pause(): void {
    if (this.#closing.signal.aborted) return;
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#pump();
    }, RETRY_AFTER);
  }

  /**
   * Writes what came of a job, as soon as the disk takes it: until then it counts as running, and no other takes its
   * place. A job that was cancelled meanwhile stays so.
   */
  async #settle(job: Job, next: Job): Promise<void> {
    for (;;) {
      try {
        if (this.#find(job.id)?.state === 'running') this.#save(next);
        return;
      } catch {
        // At the next start it is one that was running.
        if (this.#closing.signal.aborted) return;
        await setTimeoutAsync(RETRY_AFTER, undefined, this.#closing).catch(() => {});
      }
    }
  }

  #find(id: string): Job | undefined {
    const row = this.#db.prepare('SELECT job FROM jobs WHERE id = ?').get(id);
    return row && this.#read(row);
  }

  #read(row: Record<string, SQLOutputValue>): Job {
    const job = JSON.parse(String(row.job)) as Job;
    const progress = this.#progress.get(job.id);
    return progress ? { ...job, progress } : job;
  }

  #save(job: Job): void {
    const { progress: _, ...kept } = job;
    this.#write(
      'INSERT OR REPLACE INTO jobs (id, state, turn, created, job) VALUES (?, ?, ?, ?, ?)',
      ...[job.id, job.state, job.turn, job.created, JSON.stringify(kept)],
    );
    this.events.emit('job', job);
  }

  /** Runs a statement; returns how many jobs it changed. Throws CLEARWAY_DISK_FULL. */
  #write(sql: string, ...values: SQLInputValue[]): number {
    try {
      const { changes } = this.#db.prepare(sql).run(...values);
      this.#unwritten = false;
      return Number(changes);
    } catch (cause) {
      if (!this.#unwritten)
        this.#logger.error({ err: cause }, 'the queue of files to restore is not written');
      this.#unwritten = true;
      if ((cause as { errcode?: number }).errcode !== SQLITE_FULL) throw cause;
      throw new ClearwayError(
        'CLEARWAY_DISK_FULL',
        'The disk that jobs.directory is on is full: make room, then try again.',
        { status: 507, retryable: true, retryAfter: 60, cause },
      );
    }
  }
}
