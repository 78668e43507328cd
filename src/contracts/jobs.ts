import type { ErrorInfo } from './errors.ts';
import type { FileInput, FileProgress, FileResult, FileSettings } from './file.ts';

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
  /** Whose job it is: the name of a user or token; without auth, an address. The queue is fair between owners. */
  owner: string;
  /** Lower runs first; see src/jobs/turns.ts. */
  turn: number;
  input: FileInput;
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
  /** Tells of jobs that are no longer known, by id; returns how to stop. */
  onForgotten(listener: (id: string) => void): () => void;
  /** Puts running jobs back into the queue and closes. */
  close(): Promise<void>;
}

/** Whether nothing more will happen to a job. */
export function isOver({ state }: Pick<Job, 'state'>): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** A job as the API and `WS /events` show it. Times are ISO 8601. */
export interface JobStatus {
  id: string;
  name: string;
  state: JobState;
  owner: string;
  created: string;
  started?: string;
  finished?: string;
  /** How often it was begun. */
  attempts: number;
  settings: JobSettings;
  input: FileInput;
  progress?: FileProgress;
  /** Why it failed, or why it will be tried again. */
  error?: ErrorInfo;
  result?: FileResult;
  /** Paths on this gateway. */
  urls: {
    self: string;
    /** The result, `?rendition=source` the original; both with ranges. Answers 409 until the job is done. */
    video: string;
    /** `{times}`: seconds of each frame; `/frames/<n>?rendition=` a JPEG of frame n, from 0. */
    frames: string;
    /** Page with the before/after player. */
    compare: string;
  };
}

/** Settings as requests name them. */
export interface JobSettings {
  target_resolution: (typeof TARGETS)[number];
  denoise_strength: number;
  model: string;
  smoothing: number;
  codec: FileSettings['codec'];
  crf?: number;
  container: Container;
}

export const TARGETS = ['source', '480p', '720p', '1080p', '2160p'] as const;

/** What `GET /restore/jobs` says beside the jobs, so that a page need not try. */
export interface JobLimits {
  /** Bytes. */
  maxUpload: number;
  /** Seconds. */
  maxDuration: number;
  /** Whether `{"url": ...}` has any host to fetch from. */
  urls: boolean;
}
