import type { Readable } from 'node:stream';
import type { ClearwayError, ErrorInfo } from './errors.ts';
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

/** Lines of each target; the picture keeps its shape. */
export const TARGET_LINES = {
  source: 'source',
  '480p': 480,
  '720p': 720,
  '1080p': 1080,
  '2160p': 2160,
} as const;
export const TARGETS = [
  'source',
  '480p',
  '720p',
  '1080p',
  '2160p',
] as const satisfies (keyof typeof TARGET_LINES)[];

/** What `GET /restore/jobs` says beside the jobs, so that a page need not try. */
export interface JobLimits {
  /** Bytes. */
  maxUpload: number;
  /** Seconds. */
  maxDuration: number;
  /** Whether `{"url": ...}` has any host to fetch from. */
  urls: boolean;
}

/** A file that has arrived whole and waits in the incoming folder for its job. */
export interface Received {
  path: string;
  /** What the caller called it. */
  name: string;
  bytes: number;
  /** Of the content, hexadecimal. */
  sha256: string;
}

/** What is asked for; `container` chosen by the content when `auto`. */
export type JobWish = Omit<JobSettings, 'container' | 'crf'> & {
  container: Container | 'auto';
  crf?: number | undefined;
};

/** Who asks for a job. */
export interface JobOwner {
  name: string;
  /** Requests are answered from each other's results within one of these. */
  scope: string;
}

/** Restoring files, as HTTP routes use it. Errors are ClearwayErrors with a status. */
export interface Jobs {
  readonly limits: JobLimits;
  /** Where resumable uploads are collected. */
  readonly uploads: string;
  /** Rejects (503) when no more jobs are taken, before anything is received for one. */
  admit(): Promise<void>;
  /** Rejects (413, 507) when a file of this size is not taken. */
  admitSize(bytes: number): Promise<void>;
  /** Throws (400) for settings that cannot be met. */
  check(wish: JobWish): void;
  /** Streams a file to disk; what arrived of one that fails is removed. */
  receive(body: Readable, name: string): Promise<Received>;
  /** Writes to a resumable upload from an offset on; resolves with the new one. What came before a failure stays. */
  append(body: Readable, path: string, offset: number): Promise<number>;
  /** Fetches a file from an allow-listed host. */
  fetch(url: string, signal: AbortSignal): Promise<Received>;
  /** Takes over a complete file of the uploads folder. */
  claim(path: string, name: string): Promise<Received>;
  /** Removes a file that no job came of. */
  discard(received: Received): Promise<void>;
  /** Makes a job of a received file, or finds the one that is the same; the file is taken over or removed. */
  submit(received: Received, wish: JobWish, owner: JobOwner): Promise<Job>;
  get(id: string): Promise<Job | undefined>;
  list(): Promise<Job[]>;
  /** Why a job that failed or was cancelled has no result. */
  failure(job: Job): ClearwayError;
  /** Resolves with the job once it is over. Rejects when it is removed or the signal aborts. */
  whenOver(id: string, signal: AbortSignal): Promise<Job>;
  /** Cancels a job that is not over and resolves with it; removes one that is, and resolves with undefined. */
  remove(job: Job): Promise<Job | undefined>;
  /** The file of a rendition. Rejects when it is not there (yet). */
  video(job: Job, rendition: JobRendition): Promise<{ path: string; type: string }>;
  /** Seconds of each frame of a finished job. */
  frameTimes(job: Job): Promise<number[]>;
  /** One frame as a JPEG, counted from 0. */
  frame(job: Job, n: number, rendition: JobRendition, signal: AbortSignal): Promise<Uint8Array>;
  onJob(listener: (job: Job) => void): () => void;
  onForgotten(listener: (id: string) => void): () => void;
}

export const JOB_RENDITIONS = ['restored', 'source'] as const;
export type JobRendition = (typeof JOB_RENDITIONS)[number];
