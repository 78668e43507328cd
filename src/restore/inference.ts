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
 * arithmetic; the second is opened while the first restores. A stream's windows are in the thread of its lane, which it
 * changes only to even them out. A GPU's lane has the next stream's frame at hand when it has finished one, instead of
 * waiting for this thread. Work on files has what time is left: a step of it begins only when no frame waits.
 */
export class Inference {
  /** Resolves when the models are open in the first lane, with the number of lanes that there are to be. */
  readonly ready: Promise<Accelerator>;
  /** The models are open in the first lane; a job submitted before waits for that. */
  open = false;
  /** They are being opened in another. */
  widening = false;
  private readonly options: InferenceOptions;
  private readonly events: LaneEvents;
  private readonly lanes: Lane[];
  private queue: { job: Job; due: number }[] = [];
  /** Streams whose windows are between two lanes, each with what tells this move from another. */
  private readonly moving = new Map<string, symbol>();
  private steps: FileStep[] = [];
  /** Where each file's pictures are. */
  private readonly files = new Map<number, Lane>();
  private nextId = 1;

  /** @param onTrying told of each provider before a lane opens it: a driver may take the process down */
  constructor(
    options: InferenceOptions,
    onFailure: (error: Error) => void,
    onTrying: (provider: Provider) => void = () => {},
  ) {
    this.options = options;
    this.events = { failed: onFailure, trying: onTrying };
    const first = new Lane(options, this.events);
    this.lanes = [first];
    this.ready = this.openFirst(first);
    this.ready.catch(onFailure);
  }

  /**
   * Opens the other lanes, once the first is: each takes over what that measured, and its share of the streams. Resolves
   * with the number of lanes; a GPU without the memory for another has fewer than were to be.
   */
  async widen(): Promise<number> {
    const { provider, speeds, lanes } = await this.ready;
    const [first] = this.lanes as [Lane];
    this.widening = true;
    while (this.lanes.length < lanes) {
      const lane = new Lane({ ...this.options, only: provider, known: { provider, speeds } }, this.events);
      const opened = await lane.ready.catch(() => undefined);
      if (!opened) break;
      if (!Object.keys(speeds).every((model) => opened.speeds[model])) {
        await lane.close();
        break;
      }
      lane.depth = first.depth;
      this.lanes.push(lane);
      this.balance();
      this.pump();
    }
    this.widening = false;
    return this.lanes.length;
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
    this.files.get(file)?.post({ t: 'forget-file', file });
    this.files.delete(file);
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

  private async openFirst(lane: Lane): Promise<Accelerator> {
    const accelerator = await lane.ready;
    const { provider } = accelerator;
    lane.depth = provider === 'cpu' ? 1 : 2;
    this.open = true;
    const lanes = this.options.lanes ?? (provider === 'cuda' || provider === 'tensorrt' ? LANES : 1);
    return { ...accelerator, lanes };
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

  /** A stream that leaves, or a lane that comes, may leave the others in one, where they would wait for each other. */
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

  /** A new file comes into the lane that gets a stream last, and stays there. */
  private laneOfFile(file: number): Lane {
    const lane = this.files.get(file) ?? this.lanes.at(-1)!;
    this.files.set(file, lane);
    return lane;
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
    const { order, transfer, answered } = step;
    this.laneOfFile(order.file).run({ t: 'file', id: this.nextId++, order }, transfer, (answer) => {
      answered(answer as FileAnswer);
      this.pump();
    });
  }
}
