import { EventEmitter } from 'node:events';
import type { Job } from '../contracts/jobs.ts';

/** Tells of jobs as JobQueue has it; what every queue does alike. */
export class JobAnnouncer {
  protected readonly events = new EventEmitter<{ job: [Job]; forgotten: [string] }>();

  onJob(listener: (job: Job) => void): () => void {
    this.events.on('job', listener);
    return () => this.events.off('job', listener);
  }

  onForgotten(listener: (id: string) => void): () => void {
    this.events.on('forgotten', listener);
    return () => this.events.off('forgotten', listener);
  }
}
