import { Worker } from 'node:worker_threads';
import type { Accelerator } from '../contracts/restorer.ts';
import type { InferenceCommand, InferenceEvent, InferenceOptions } from './inference-protocol.ts';

/** Runs of so long count as the load now, ms. */
const LOAD_WINDOW = 3000;

/** What ends a run. */
export type LaneAnswer = Extract<InferenceEvent, { t: 'done' | 'file-answer' | 'handed-over' }>;

export interface LaneEvents {
  /** A provider is about to be opened. */
  trying(provider: Accelerator['provider']): void;
  /** The thread ended by itself, its models open. */
  failed(error: Error): void;
}

interface Run {
  /** Whose frame it is; undefined for work on a file. */
  stream: string | undefined;
  since: number;
  answered(answer: LaneAnswer): void;
}

/** One inference thread, which does one run at a time: what it was given, and how long it was busy. */
export class Lane {
  /** Resolves when its models are open; rejects when the thread ended before. */
  readonly ready: Promise<Omit<Accelerator, 'lanes'>>;
  /** Whose windows it holds, or is to get. */
  readonly streams = new Set<string>();
  /** How much it is given at once. */
  depth = 1;
  private readonly worker: Worker;
  /** What it was given, in this order. */
  private running: Run[] = [];
  private lastEnded = 0;
  private recent: { ended: number; took: number }[] = [];

  constructor(options: InferenceOptions, { trying, failed }: LaneEvents) {
    this.worker = new Worker(new URL('./inference-thread.ts', import.meta.url), { workerData: options });
    this.ready = new Promise((resolve, reject) => {
      this.worker.once('error', reject);
      this.worker.on('message', (event: InferenceEvent) => {
        if (event.t === 'ready') {
          this.worker.off('error', reject).on('error', failed);
          resolve(event.accelerator);
        } else if (event.t === 'trying') trying(event.provider);
        else this.finish(event);
      });
    });
  }

  get idle(): boolean {
    return this.running.length === 0;
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

  /**
   * Whether it may have a frame now. A second one is of another stream: how a stream's next is treated depends on the
   * one before.
   */
  takes(stream: string): boolean {
    const [first] = this.running;
    if (!first) return true;
    return this.running.length < this.depth && first.stream !== undefined && first.stream !== stream;
  }

  /** Begins a run that `answered` hears of. Buffers in `transfer` are given away. */
  run(
    command: Extract<InferenceCommand, { id: number }>,
    transfer: ArrayBuffer[],
    answered: (answer: LaneAnswer) => void,
  ): void {
    const stream = command.t === 'frame' ? command.stream : undefined;
    this.running.push({ stream, since: performance.now(), answered });
    this.post(command, transfer);
  }

  post(command: InferenceCommand, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(command, transfer);
  }

  /** Ends the thread by its own hand: a thread terminated inside a run takes the process down with it. */
  async close(): Promise<void> {
    const ended = new Promise<void>((done) => this.worker.once('exit', () => done()));
    this.post({ t: 'close' });
    await ended;
  }

  private finish(answer: LaneAnswer): void {
    const { stream, since, answered } = this.running.shift()!;
    const ended = performance.now();
    if (stream !== undefined) {
      this.recent.push({ ended, took: ended - Math.max(since, this.lastEnded) });
      if (this.recent.length > 2 * LOAD_WINDOW) this.recent.splice(0, LOAD_WINDOW);
    }
    this.lastEnded = ended;
    const [next] = this.running;
    if (next) next.since = ended;
    answered(answer);
  }
}
