import './device/no-telemetry.ts';
import type { Accelerator } from '../contracts/restorer.ts';
import { now } from '../contracts/time.ts';
import type { Provider } from './device/device.ts';
import type { FileAnswer, FileOrder } from './file/protocol.ts';
import type { InferenceCommand, InferenceEvent, InferenceOptions } from './inference-protocol.ts';
import { Lane, type LaneEvents } from './lane.ts';
import { buffersOf } from './packed-windows.ts';

type FrameCommand = Extract<InferenceCommand, { t: 'frame' }>;
type HandedOver = Extract<InferenceEvent, { t: 'handed-over' }>;
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

/** Lanes of a GPU (test/bench/RESULTS-GPU.md). */
const LANES = 2;

interface FileStep {
  order: FileOrder;
  transfer: ArrayBuffer[];
  answered(answer: FileAnswer): void;
  dropped(): void;
}

/**
 * One accelerator, shared by the streams of this process: earliest deadline first but a stream's frames in order. It has
 * one lane, which does one run at a time: concurrent runs crash the WebGPU provider, and on a CPU they only slow each
 * other down. A GPU through its own provider has several, so that one's copies and launches overlap another's
 * arithmetic; a stream, whose windows are in its thread, keeps its lane until others leave theirs. A GPU's lane has the next stream's frame at hand
 * when it has finished one, instead of waiting for this thread. Work on files has what time is left: a step of it begins
 * only when no frame waits.
 */
export class Inference {
  /** Resolves when the models are open. */
  readonly ready: Promise<Accelerator>;
  /** The models are open; a job submitted before waits for that. */
  open = false;
  private readonly lanes: Lane[];
  private queue: { job: Job; due: number }[] = [];
  /** Streams whose windows are between two lanes, each with what tells this move from another. */
  private readonly moving = new Map<string, symbol>();
  private steps: FileStep[] = [];
  private nextId = 1;

  /** @param onTrying told of each provider before a lane opens it: a driver may take the process down */
  constructor(
    options: InferenceOptions,
    onFailure: (error: Error) => void,
    onTrying: (provider: Provider) => void = () => {},
  ) {
    const events = { failed: onFailure, trying: onTrying };
    const first = new Lane(options, events);
    this.lanes = [first];
    this.ready = this.openAll(first, options, events);
  }

  /** How long the longest run in progress has been going on, ms. */
  get busyFor(): number {
    return Math.max(...this.lanes.map(({ busyFor }) => busyFor));
  }

  /** Share of the last seconds it was busy with frames of streams, 0..1. */
  get load(): number {
    return this.lanes.reduce((sum, { load }) => sum + load, 0) / this.lanes.length;
  }

  submit(job: Job): void {
    // Never before its own stream's: B-frames are older in arrival than the picture shown before them.
    const own = this.queue.findLastIndex((other) => other.job.stream === job.stream);
    const due = Math.min(job.deadline, now() + PATIENCE);
    const later = this.queue.findIndex((other, at) => at > own && other.due > due);
    this.queue.splice(later === -1 ? this.queue.length : later, 0, { job, due });
    this.place(job.stream);
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
    this.fileLane.post({ t: 'forget-file', file });
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
    this.moving.delete(stream);
    for (const lane of this.lanes) if (lane.streams.delete(stream)) lane.post({ t: 'forget', stream });
    this.balance();
  }

  async close(): Promise<void> {
    this.queue = [];
    await Promise.all(this.lanes.map((lane) => lane.close()));
  }

  /** The other lanes open what the first found to work, and take over what it measured. */
  private async openAll(first: Lane, options: InferenceOptions, events: LaneEvents): Promise<Accelerator> {
    const accelerator = await first.ready;
    const { provider, speeds } = accelerator;
    const count = options.lanes ?? (provider === 'cuda' || provider === 'tensorrt' ? LANES : 1);
    const same = { ...options, only: provider, known: accelerator };
    const others = Array.from({ length: count - 1 }, () => new Lane(same, events));
    for (const lane of others) {
      const { speeds: opened } = await lane.ready;
      // A GPU without the memory for another.
      if (Object.keys(speeds).every((model) => opened[model])) this.lanes.push(lane);
      else await lane.close();
    }
    const depth = provider === 'cpu' ? 1 : 2;
    for (const lane of this.lanes) lane.depth = depth;
    this.open = true;
    return { ...accelerator, lanes: this.lanes.length };
  }

  /** A stream that has no windows yet comes into the lane with the fewest. */
  private place(stream: string): void {
    if (!this.lanes.some(({ streams }) => streams.has(stream))) this.bySize[0]!.streams.add(stream);
  }

  private laneOf(stream: string): Lane {
    return this.lanes.find(({ streams }) => streams.has(stream))!;
  }

  /** The one with the fewest streams first. */
  private get bySize(): Lane[] {
    return this.lanes.toSorted((a, b) => a.streams.size - b.streams.size);
  }

  /** Streams that leave may leave the others in one lane, where they would wait for each other. */
  private balance(): void {
    for (;;) {
      const [least, most] = [this.bySize[0]!, this.bySize.at(-1)!];
      const stream = [...most.streams].findLast((name) => !this.moving.has(name));
      if (most.streams.size - least.streams.size < 2 || stream === undefined) return;
      this.move(stream, most, least);
    }
  }

  /** Its windows follow the frame that its lane has, and what waits follows them. */
  private move(stream: string, from: Lane, to: Lane): void {
    from.streams.delete(stream);
    to.streams.add(stream);
    const move = Symbol(stream);
    this.moving.set(stream, move);
    from.run({ t: 'hand-over', id: this.nextId++, stream }, [], (answer) => {
      const { windows } = answer as HandedOver;
      // Else it was forgotten meanwhile.
      if (this.moving.get(stream) === move) {
        this.moving.delete(stream);
        if (windows) to.post({ t: 'take-over', stream, windows }, buffersOf(windows));
      }
      this.pump();
    });
  }

  /** The one that gets a stream last. */
  private get fileLane(): Lane {
    return this.lanes.at(-1)!;
  }

  private pump(): void {
    for (;;) {
      const at = this.queue.findIndex(
        ({ job: { stream } }) => !this.moving.has(stream) && this.laneOf(stream).takes(stream),
      );
      if (at === -1) break;
      const { job } = this.queue[at]!;
      this.queue.splice(at, 1);
      this.begin(job, this.laneOf(job.stream));
    }
    if (this.queue.length === 0 && this.lanes.every(({ idle }) => idle)) this.beginStep();
  }

  private begin(job: Job, lane: Lane): void {
    const command = job.dispatch();
    const buffers = [command.picture, command.out, ...(command.source ? [command.source] : [])];
    lane.run({ t: 'frame', id: this.nextId++, stream: job.stream, ...command }, buffers, (result) => {
      // First, since a job that is dispatched counts on the results before it.
      job.done(result as FrameDone);
      this.pump();
    });
  }

  private beginStep(): void {
    const step = this.steps.shift();
    if (!step) return;
    this.fileLane.run({ t: 'file', id: this.nextId++, order: step.order }, step.transfer, (answer) => {
      step.answered(answer as FileAnswer);
      this.pump();
    });
  }
}
