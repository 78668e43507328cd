import { CLOCK_RATE } from '../contracts/media.ts';
import type { RestoreSettings } from '../contracts/restorer.ts';
import { now } from '../contracts/time.ts';
import type { Logger } from '../telemetry/log.ts';
import type { FrameDone, Inference, Job } from './inference.ts';
import type { Ladder, Miss } from './ladder.ts';
import { pictureBytes } from './picture.ts';
import type { PictureProbe } from './picture-probe.ts';
import { FramePool } from './pool.ts';
import type { FinishedFrame, Renditions } from './renditions.ts';
import type { RunningCost } from './running-cost.ts';
import type { Snapshots } from './snapshots.ts';
import type { Reporter } from './stream-report.ts';
import { ASSUMED_FPS } from './working-height.ts';

/** Frames of one stream that may wait for the accelerator, and for the encoders. */
const WAITING = 4;
/** A pause in the source after which the past is no window any more, 90 kHz ticks (1 s). */
const STALE = CLOCK_RATE;

/** What is known of a decoded frame besides its pixels. */
export interface FrameMeta {
  width: number;
  height: number;
  /** Output clock, 90 kHz ticks. */
  pts: number;
  /** Unix ms when its packet came from the camera. */
  arrival: number;
  /** ms from its capture to its arrival, where the camera says. */
  captured: number | undefined;
  /** Unix ms when the decoder gave it. */
  decoded: number;
}

/** The parts of a pipeline that its frames flow through. */
export interface FlowParts {
  stream: string;
  inference: Inference;
  cost: RunningCost;
  renditions: Renditions;
  snapshots: Snapshots;
  probe: PictureProbe;
  report: Reporter;
  logger: Logger;
  settings(): RestoreSettings;
  ladder(): Ladder;
  /** Frames per second of the source. */
  fps(): number;
  /** Its frames have another size from now on, a smaller one or not, or are the first. */
  resized(smaller: boolean): void;
  /** Encodes in turn, after whatever else uses the encoders. */
  inEncoderTurn(work: () => Promise<void>): void;
  /** A frame is finished: encode and send it. Rejects, having said why, when nothing of it could be sent. */
  publish(frame: FinishedFrame): Promise<void>;
}

interface Finished {
  restored: ArrayBuffer;
  source: ArrayBuffer | undefined;
  outcome: 'restored' | 'passthrough';
  /** Unix ms when the inference thread took it up. */
  began: number;
  restore: number;
  smooth: number;
}

/**
 * Carries one stream's frames from the decoder through the accelerator to the encoders. Decides at the last moment
 * which frame is restored and which passes through; every buffer comes from one pool and goes back to it. Queues are
 * bounded and drop their oldest.
 */
export class FrameFlow {
  private readonly parts: FlowParts;
  private pool = new FramePool(0);
  /** Results of an earlier session are not this session's. */
  private epoch = 0;
  /** The next frame begins a new scene for window and smoothing. */
  private fresh = true;
  private last: FrameMeta | undefined;
  private waiting: Job[] = [];
  /** Frames inside the inference thread whose pictures are still to come, oldest first. */
  private inside: FrameMeta[] = [];
  /** Running mean of the time between two frames, ms. */
  private interval = 1000 / ASSUMED_FPS;
  private toEncode = 0;
  /** Running mean of the encoding time, ms. */
  private encodeCost = 5;
  private failing = false;

  constructor(parts: FlowParts) {
    this.parts = parts;
  }

  /** Size of the newest frame. */
  get size(): { width: number; height: number } {
    return { width: this.last?.width ?? 0, height: this.last?.height ?? 0 };
  }

  /** Frames per second that come, to a tenth; assumed until they do. */
  get fps(): number {
    return Math.round(10_000 / this.interval) / 10;
  }

  /** Share of its time that a lane of the accelerator has to do with its frames on a model, with so many lines. */
  share(model: string, lines = this.size.height): number {
    const { width, height } = this.size;
    const scale = height > 0 ? lines / height : 1;
    return (this.parts.cost.expected(model, width * scale, lines) ?? 0) / this.interval;
  }

  /** Whether frames are late on a model although nothing else runs, `within` ms from decoder to access unit. */
  tooHeavy(model: string, within = this.parts.settings().latencyBudget): boolean {
    const { width, height } = this.size;
    const ms = this.parts.cost.atBest(model, width, height) ?? 0;
    return ms > this.interval || ms > within - this.encodeCost;
  }

  /** A buffer for the decoder to fill. */
  allocate(bytes: number): Uint8Array<ArrayBuffer> {
    if (bytes !== this.pool.size) this.pool = new FramePool(bytes);
    return new Uint8Array(this.pool.take());
  }

  /** Takes a buffer back that no frame came of. */
  giveBack(buffer: ArrayBuffer): void {
    this.pool.give(buffer);
  }

  /** Takes a decoded frame, whose buffer is this flow's from now on. */
  push(meta: FrameMeta, picture: ArrayBuffer): void {
    const { last } = this;
    this.last = meta;
    if (!last) this.interval = 1000 / this.parts.fps();
    if (last && meta.pts > last.pts) {
      const interval = Math.min(1000, ((meta.pts - last.pts) / CLOCK_RATE) * 1000);
      this.interval += (interval - this.interval) / 16;
    }
    const resized = meta.width !== last?.width || meta.height !== last.height;
    if (resized)
      this.parts.resized(last !== undefined && meta.width * meta.height < last.width * last.height);
    if (!last || resized || meta.pts - last.pts > STALE) this.fresh = true;
    const { ladder, inference } = this.parts;
    const idle = this.waiting.length === 0 && this.inside.length === 0;
    if (idle && (!inference.open || ladder().model === 'none')) this.bypass(meta, picture);
    else this.submit(meta, picture);
  }

  /** The session is over: drops what waits, and the windows. */
  reset(): void {
    this.epoch++;
    this.waiting = [];
    this.inside = [];
    this.parts.inference.forget(this.parts.stream);
    this.fresh = true;
    this.last = undefined;
  }

  /** No network wanted, or none open yet: straight to the encoders. */
  private bypass(meta: FrameMeta, picture: ArrayBuffer): void {
    // What its windows hold is of no use any more, and others may have its place.
    this.parts.inference.forget(this.parts.stream);
    this.fresh = true;
    this.parts.ladder().observe(undefined);
    this.finish(meta, {
      restored: picture,
      source: undefined,
      outcome: 'passthrough',
      began: meta.decoded,
      restore: 0,
      smooth: 0,
    });
  }

  private submit(meta: FrameMeta, picture: ArrayBuffer): void {
    const { inference, report, stream, cost } = this.parts;
    const oldest = this.waiting.length >= WAITING ? this.waiting[0] : undefined;
    if (oldest && inference.withdraw(oldest)) {
      oldest.cancelled();
      report.drop('queue-full');
    }
    const { epoch, fresh } = this;
    this.fresh = false;
    const deadline = meta.arrival + this.parts.settings().latencyBudget;
    let model = 'none';
    const job: Job = {
      stream,
      deadline,
      dispatch: () => {
        this.unqueue(job);
        this.inside.push(meta);
        const command = this.command(meta, picture, deadline, fresh);
        model = command.model;
        return command;
      },
      done: (result) => {
        const { restore, smooth } = result.timings ?? { restore: 0, smooth: 0 };
        if (restore > 0) cost.ran(model, meta.width, meta.height, restore + smooth, now());
        if (epoch === this.epoch) this.onDone(result);
      },
      cancelled: () => {
        this.unqueue(job);
        this.pool.give(picture);
        // What it would have begun begins with its successor.
        if (fresh) this.fresh = true;
      },
    };
    this.waiting.push(job);
    inference.submit(job);
  }

  /** How a frame is treated, decided when the accelerator is free for it. */
  private command(meta: FrameMeta, picture: ArrayBuffer, deadline: number, fresh: boolean) {
    const { cost, renditions, snapshots, probe } = this.parts;
    const { width, height } = meta;
    const { strength, smoothing } = this.parts.settings();
    const { model } = this.parts.ladder();
    const expected = cost.expected(model, width, height);
    const left = deadline - now() - this.encodeCost;
    const inTime = expected !== undefined && expected <= left;
    if (expected !== undefined) this.parts.ladder().observe(this.miss(inTime, meta, deadline));
    const restore = inTime || (expected !== undefined && left > 0 && cost.trial(model, width, height, now()));
    const bytes = pictureBytes(width, height);
    const needSource = renditions.needSource || snapshots.needSource || probe.needSource(now());
    return {
      model,
      picture,
      out: this.buffer(bytes),
      source: needSource ? this.buffer(bytes) : undefined,
      request: { width, height, strength, smoothing, restore, fresh },
    };
  }

  private buffer(bytes: number): ArrayBuffer {
    return bytes === this.pool.size ? this.pool.take() : new ArrayBuffer(bytes);
  }

  private unqueue(job: Job): void {
    this.waiting = this.waiting.filter((other) => other !== job);
  }

  private onDone(result: FrameDone): void {
    const { report, logger, stream } = this.parts;
    for (const buffer of result.recycled) this.pool.give(buffer);
    if (result.error && !this.failing) logger.warn({ stream, error: result.error }, 'inference failed');
    this.failing = result.error !== undefined;
    const { timings, out, source, began } = result;
    // A scene cut inside a lookahead window ends the wait of what came before it.
    while (this.inside.length > result.pending + (timings ? 1 : 0)) {
      this.inside.shift();
      report.drop('restart');
    }
    const meta = timings ? this.inside.shift() : undefined;
    if (!timings || !meta) {
      this.pool.give(out);
      if (source) this.pool.give(source);
      return;
    }
    const outcome = timings.restore > 0 ? 'restored' : 'passthrough';
    this.finish(meta, {
      restored: out,
      source,
      outcome,
      began,
      restore: timings.restore,
      smooth: timings.smooth,
    });
  }

  /** Hands a finished picture to the encoders, in order. */
  private finish(meta: FrameMeta, finished: Finished): void {
    const { report } = this.parts;
    if (this.toEncode >= WAITING) {
      this.recycle(finished);
      report.drop('encoder');
      return;
    }
    this.toEncode++;
    this.parts.inEncoderTurn(async () => {
      try {
        await this.encode(meta, finished);
      } finally {
        this.toEncode--;
        this.recycle(finished);
      }
    });
  }

  private async encode(
    meta: FrameMeta,
    { restored, source, outcome, began, restore, smooth }: Finished,
  ): Promise<void> {
    const { report } = this.parts;
    const { width, height, pts, arrival, decoded } = meta;
    const picture = new Uint8Array(restored);
    // A frame that was not restored is its own source.
    const itself = outcome === 'passthrough' ? picture : undefined;
    const unrestored = source ? new Uint8Array(source) : itself;
    const frame: FinishedFrame = {
      restored: picture,
      source: unrestored,
      width,
      height,
      pts,
      arrival,
      outcome,
    };
    const start = now();
    try {
      await this.parts.publish(frame);
    } catch {
      report.drop('encoder');
      return;
    }
    const end = now();
    this.encodeCost += (end - start - this.encodeCost) / 16;
    report.published(
      outcome,
      {
        decode: Math.max(0, decoded - arrival),
        queue: Math.max(0, began - decoded),
        restore,
        smooth,
        encode: end - start,
        total: end - arrival,
      },
      arrival,
      meta.captured,
    );
    this.parts.probe.finished(frame, end);
    await this.parts.snapshots.serve(frame);
  }

  private recycle({ restored, source }: Finished): void {
    this.pool.give(restored);
    if (source) this.pool.give(source);
  }

  /** A network that fails on every frame (no memory for this size, say) is as good as one that is always late. */
  private miss(inTime: boolean, { decoded }: FrameMeta, deadline: number): Miss | undefined {
    if (this.failing) return 'alone';
    if (inTime) return undefined;
    return this.tooHeavy(this.parts.ladder().model, deadline - decoded) ? 'alone' : 'waited';
  }
}
