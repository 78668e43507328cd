import './device/no-telemetry.ts';
import { Worker } from 'node:worker_threads';
import type { Accelerator } from '../contracts/restorer.ts';
import { now } from '../contracts/time.ts';
import type { Provider } from './device/device.ts';
import type { FileAnswer, FileOrder } from './file/protocol.ts';
import type { InferenceCommand, InferenceEvent, InferenceOptions } from './inference-protocol.ts';

type FrameCommand = Extract<InferenceCommand, { t: 'frame' }>;
export type FrameDone = Extract<InferenceEvent, { t: 'done' }>;

export interface Job {
  stream: string;
  /** Unix ms; the job with the earliest runs first, but none is put off for long. */
  deadline: number;
  /** Called when the accelerator is free: the frame as it must be treated now. */
  dispatch(): Omit<FrameCommand, 't' | 'id' | 'stream'>;
  done(result: FrameDone): void;
  /** Its stream is gone before it was dispatched. */
  cancelled(): void;
}

/**
 * How much later than now a job can be due, ms. A stream with much time would otherwise be passed over by a stream
 * with little for as long as the accelerator is overloaded, and its few waiting frames would all be dropped.
 */
const PATIENCE = 60;

/** Runs of so long count as the load now, ms. */
const LOAD_WINDOW = 3000;

interface FileStep {
  order: FileOrder;
  transfer: ArrayBuffer[];
  answered(answer: FileAnswer): void;
  dropped(): void;
}

/**
 * One accelerator, shared by the streams of this process: earliest deadline first but a stream's frames in order, one
 * run at a time (concurrent runs crash the WebGPU provider, and on a CPU they only slow each other down). A GPU has the
 * next stream's frame at hand when it has finished one, instead of waiting for this thread. Work on files has what time
 * is left: a step of it begins only when no frame waits.
 */
export class Inference {
  /** Resolves when the models are open. */
  readonly ready: Promise<Accelerator>;
  /** The models are open; a job submitted before waits for that. */
  open = false;
  private readonly worker: Worker;
  private queue: { job: Job; due: number }[] = [];
  private steps: FileStep[] = [];
  /** What the thread was given, in this order. */
  private running: { work: Job | FileStep; since: number }[] = [];
  /** How much it is given at once. */
  private depth = 1;
  private lastEnded = 0;
  private recent: { ended: number; took: number }[] = [];
  private nextId = 1;

  /** @param onTrying told of each provider before it is opened: a driver may take the process down */
  constructor(
    options: InferenceOptions,
    onFailure: (error: Error) => void,
    onTrying: (provider: Provider) => void = () => {},
  ) {
    this.worker = new Worker(new URL('./inference-thread.ts', import.meta.url), { workerData: options });
    this.ready = new Promise((resolve) => {
      this.worker.on('message', (event: InferenceEvent) => {
        if (event.t === 'ready') {
          this.open = true;
          this.depth = event.accelerator.provider === 'cpu' ? 1 : 2;
          resolve(event.accelerator);
        }
        if (event.t === 'trying') onTrying(event.provider);
        else if (event.t === 'done') this.finish(event);
        else if (event.t === 'file-answer') this.finishStep(event);
      });
    });
    this.worker.on('error', onFailure);
  }

  /** How long the run in progress has been going on, ms. */
  get busyFor(): number {
    const [oldest] = this.running;
    return oldest ? performance.now() - oldest.since : 0;
  }

  /** Share of the last seconds it was busy with frames of streams, 0..1. */
  get load(): number {
    const since = performance.now() - LOAD_WINDOW;
    this.recent = this.recent.filter(({ ended }) => ended > since);
    return this.recent.reduce((sum, { took }) => sum + took, 0) / LOAD_WINDOW;
  }

  submit(job: Job): void {
    // Never before its own stream's: B-frames are older in arrival than the picture shown before them.
    const own = this.queue.findLastIndex((other) => other.job.stream === job.stream);
    const due = Math.min(job.deadline, now() + PATIENCE);
    const later = this.queue.findIndex((other, at) => at > own && other.due > due);
    this.queue.splice(later === -1 ? this.queue.length : later, 0, { job, due });
    this.pump();
  }

  /**
   * Does one step of work on a file when no frame waits, which may be never as long as streams have more than enough
   * to do. Buffers in `transfer` are given away. Rejects when the file is forgotten meanwhile.
   */
  step(order: FileOrder, transfer: ArrayBuffer[] = []): Promise<FileAnswer> {
    return new Promise((answered, reject) => {
      const dropped = () => reject(new Error('the file was given up'));
      this.steps.push({ order, transfer, answered, dropped });
      this.pump();
    });
  }

  /** Drops a file's step that waits, and what is kept of its pictures. */
  forgetFile(file: number): void {
    const gone = this.steps.filter(({ order }) => order.file === file);
    this.steps = this.steps.filter(({ order }) => order.file !== file);
    for (const step of gone) step.dropped();
    this.post({ t: 'forget-file', file });
  }

  /** Takes a waiting job back; false when it already runs. */
  withdraw(job: Job): boolean {
    const at = this.queue.findIndex((other) => other.job === job);
    if (at === -1) return false;
    this.queue.splice(at, 1);
    return true;
  }

  /** Drops what a stream has waiting and its windows. */
  forget(stream: string): void {
    const gone = this.queue.filter(({ job }) => job.stream === stream);
    this.queue = this.queue.filter(({ job }) => job.stream !== stream);
    for (const { job } of gone) job.cancelled();
    this.post({ t: 'forget', stream });
  }

  /** Ends the thread by its own hand: a thread terminated inside a run takes the process down with it. */
  async close(): Promise<void> {
    this.queue = [];
    const ended = new Promise<void>((done) => this.worker.once('exit', () => done()));
    this.post({ t: 'close' });
    await ended;
  }

  private pump(): void {
    const [first] = this.running;
    if (!first) {
      const next = this.queue.shift();
      if (next) this.pumpFrame(next.job);
      else this.pumpStep();
    }
    this.pumpAhead();
  }

  /** Gives the thread a second frame, of another stream: how a stream's next is treated depends on the one before. */
  private pumpAhead(): void {
    const [first] = this.running;
    if (!first || this.running.length >= this.depth || !('stream' in first.work)) return;
    const { stream } = first.work;
    const at = this.queue.findIndex(({ job }) => job.stream !== stream);
    if (at !== -1) this.pumpFrame(this.queue.splice(at, 1)[0]!.job);
  }

  private pumpFrame(job: Job): void {
    const id = this.nextId++;
    this.running.push({ work: job, since: performance.now() });
    const command = job.dispatch();
    this.post({ t: 'frame', id, stream: job.stream, ...command }, [
      command.picture,
      command.out,
      ...(command.source ? [command.source] : []),
    ]);
  }

  private pumpStep(): void {
    const step = this.steps.shift();
    if (!step) return;
    const id = this.nextId++;
    this.running.push({ work: step, since: performance.now() });
    this.post({ t: 'file', id, order: step.order }, step.transfer);
  }

  private finishStep(answer: FileAnswer): void {
    const { work } = this.running.shift()!;
    (work as FileStep).answered(answer);
    this.pump();
  }

  private finish(result: FrameDone): void {
    const { work, since } = this.running.shift()!;
    const ended = performance.now();
    this.recent.push({ ended, took: ended - Math.max(since, this.lastEnded) });
    this.lastEnded = ended;
    const [next] = this.running;
    if (next) next.since = ended;
    if (this.recent.length > 2 * LOAD_WINDOW) this.recent.splice(0, LOAD_WINDOW);
    // First, since a job that is dispatched counts on the results before it.
    (work as Job).done(result);
    this.pump();
  }

  private post(command: InferenceCommand, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(command, transfer);
  }
}
