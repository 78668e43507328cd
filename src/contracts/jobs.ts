import type { ErrorInfo } from './errors.ts';
import type { FileProgress, FileResult, FileSettings } from './file.ts';

export const JOB_STATES = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;
export type JobState = (typeof JOB_STATES)[number];

export const CONTAINERS = ['mp4', 'mkv'] as const;
export type Container = (typeof CONTAINERS)[number];

/** What is asked of the queue. */
export interface JobOrder {
  /** Hash of content, settings and models: the same request is the same job, on every gateway. */
  id: string;
  /** What the caller called the file; for people only, never a path. */
  name: string;
  settings: FileSettings;
  container: Container;
  /** Whose job it is (an address): the queue is fair between owners. */
  owner: string;
  /** Lower runs first; see src/jobs/turns.ts. */
  turn: number;
  /** Size of the file to restore. */
  bytes: number;
}

/** A file to restore and how far it is. Times are Unix ms. */
export interface Job extends JobOrder {
  state: JobState;
  created: number;
  started?: number;
  finished?: number;
  /** How often it was begun. */
  attempts: number;
  progress?: FileProgress;
  /** Why it failed, or why it will be tried again. */
  error?: ErrorInfo;
  result?: FileResult;
}

export interface RunOptions {
  /** Aborts when the job is cancelled or the gateway stops. */
  signal: AbortSignal;
  onProgress(progress: FileProgress): void;
}

/** Does one job; rejects with a ClearwayError, retryable when the same job may work at the next attempt. */
export type JobRunner = (job: Job, options: RunOptions) => Promise<FileResult>;

/** How often a job may be begun before it counts as failed. */
export const MAX_ATTEMPTS = 3;

/** A durable queue of jobs. What it was told survives the gateway; a job whose worker died is handed out again. */
export interface JobQueue {
  /** Adds a job; one of the same id that is there already is left as it is and returned. */
  add(order: JobOrder): Promise<Job>;
  get(id: string): Promise<Job | undefined>;
  /** Every job that is kept, newest first. */
  list(): Promise<Job[]>;
  /** Ends a job that is not over yet; resolves with it, or undefined when there is none. */
  cancel(id: string): Promise<Job | undefined>;
  /** Drops what is known about a job that is over. */
  forget(id: string): Promise<void>;
  /** Begins to hand out jobs. */
  work(run: JobRunner): void;
  /** Tells of every change and of progress, at most a few times a second a job; returns how to stop. */
  onJob(listener: (job: Job) => void): () => void;
  /** Puts running jobs back into the queue and closes. */
  close(): Promise<void>;
}

/** Whether nothing more will happen to a job. */
export function isOver({ state }: Pick<Job, 'state'>): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}
