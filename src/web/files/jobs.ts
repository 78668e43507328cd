import type { ServerEvent } from '../../contracts/events.ts';
import { isOver, type JobLimits, type JobStatus } from '../../contracts/jobs.ts';
import { ApiError, api } from '../core/api.ts';

/** Whether this gateway restores files for this person: not asked yet, yes, or why not in words. */
export type Service = { kind: 'unknown' } | { kind: 'on'; limits: JobLimits } | { kind: 'off'; why: string };

/** Every file that is restored, was or will be, as far as this person may see them. */
export class Jobs {
  readonly #jobs = new Map<string, JobStatus>();
  readonly #listeners = new Set<() => void>();
  #service: Service = { kind: 'unknown' };

  get service(): Service {
    return this.#service;
  }

  get(id: string): JobStatus | undefined {
    return this.#jobs.get(id);
  }

  /** Newest first. */
  list(): JobStatus[] {
    return [...this.#jobs.values()].sort((a, b) => b.created.localeCompare(a.created));
  }

  /** Calls `listener` after every change until `signal` aborts. */
  watch(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  /** Asks the gateway anew: after a reconnect it may be another, or configured otherwise. Rejects with ApiError. */
  async load(): Promise<void> {
    try {
      const { jobs, limits } = await api.jobs();
      this.#service = { kind: 'on', limits };
      this.#replace(jobs.map((job) => this.#newer(job)));
    } catch (error) {
      if (!(error instanceof ApiError) || ![403, 404].includes(error.status)) throw error;
      this.#service = { kind: 'off', why: error.message };
      this.#replace([]);
    }
  }

  apply(event: ServerEvent): void {
    if (event.type === 'jobs') this.#replace(event.jobs);
    else if (event.type === 'job') this.put(event.job);
    else if (event.type === 'job-removed') this.drop(event.id);
  }

  put(job: JobStatus): void {
    this.#jobs.set(job.id, this.#newer(job));
    this.#changed();
  }

  drop(id: string): void {
    if (this.#jobs.delete(id)) this.#changed();
  }

  /** An answer may arrive after the event that overtook it: what is over stays over. */
  #newer(job: JobStatus): JobStatus {
    const known = this.#jobs.get(job.id);
    return known && isOver(known) && !isOver(job) && known.created === job.created ? known : job;
  }

  /** Forgets everything, as for another person. */
  reset(): void {
    this.#service = { kind: 'unknown' };
    this.#replace([]);
  }

  #replace(jobs: JobStatus[]): void {
    this.#jobs.clear();
    for (const job of jobs) this.#jobs.set(job.id, job);
    this.#changed();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}
