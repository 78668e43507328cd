import { JOB_STATES, type Job } from '../contracts/jobs.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** Counts jobs for Prometheus. */
export class JobMeter {
  readonly #metrics: Metrics;
  readonly #states = new Map<string, Job['state']>();

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
    for (const outcome of ['created', 'joined', 'cached', 'refused'] as const) {
      metrics.jobRequests.inc({ outcome }, 0);
    }
    for (const outcome of ['done', 'failed'] as const) metrics.jobAttempts.inc({ outcome }, 0);
    this.#count();
  }

  /** A job is new or changed. */
  job({ id, state, created, started, attempts }: Job): void {
    const before = this.#states.get(id);
    if (before === state) return;
    this.#states.set(id, state);
    if (before === 'queued' && state === 'running' && attempts === 1 && started !== undefined) {
      this.#metrics.jobWait.observe((started - created) / 1000);
    }
    this.#count();
  }

  forgotten(id: string): void {
    if (this.#states.delete(id)) this.#count();
  }

  /** This gateway restored a file. */
  ran(seconds: number, frames: number): void {
    this.#metrics.jobDuration.observe(seconds);
    this.#metrics.jobFrames.inc(frames);
    this.#metrics.jobAttempts.inc({ outcome: 'done' });
  }

  /** An attempt of this gateway failed; the job may be tried again. */
  failed(): void {
    this.#metrics.jobAttempts.inc({ outcome: 'failed' });
  }

  request(outcome: 'created' | 'joined' | 'cached' | 'refused'): void {
    this.#metrics.jobRequests.inc({ outcome });
  }

  #count(): void {
    const counts = Object.fromEntries(JOB_STATES.map((state) => [state, 0])) as Record<Job['state'], number>;
    for (const state of this.#states.values()) counts[state]++;
    for (const state of JOB_STATES) this.#metrics.jobs.set({ state }, counts[state]);
  }
}
