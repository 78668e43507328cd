import { type DecodedFrame, type DecoderProcess, spawnDecoder } from '../codec/decoder-process.ts';
import { encodeJpeg } from '../codec/jpeg.ts';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import { CLOCK_RATE, type Rendition } from '../contracts/media.ts';
import type { RestorerEvent, RestoreSettings, SourceSpec } from '../contracts/restorer.ts';
import type { DropCause, RestorationInfo, SourceInfo } from '../contracts/stream.ts';
import type { Logger } from '../telemetry/log.ts';
import { AudioTrack } from './audio-track.ts';
import { estimate } from './calibrate.ts';
import { OutputClock } from './clock.ts';
import type { FrameDone, Inference, Job } from './inference.ts';
import type { Accelerator } from './inference-protocol.ts';
import { Ladder } from './ladder.ts';
import { pictureBytes, sideBySide } from './picture.ts';
import { FramePool } from './pool.ts';
import { type FinishedFrame, Renditions } from './renditions.ts';
import { Reporter } from './stream-report.ts';
import { ASSUMED_FPS, type Choice, chooseRestoration } from './working-height.ts';

/** Frames of one stream that may wait for the accelerator, and for the encoders. */
const WAITING = 4;
/** A pause in the source after which the past is not a window any more, 90 kHz ticks (1 s). */
const STALE = CLOCK_RATE;
const TICKS_PER_MS = CLOCK_RATE / 1000;

/** What a pipeline needs of its process. */
export interface PipelineHost {
  inference: Inference;
  accelerator: Accelerator;
  /** Restored streams that share the accelerator now. */
  restoredStreams(): number;
  encoderThreads: number;
  send(event: RestorerEvent): void;
  logger: Logger;
}

interface FrameMeta {
  pts: number;
  arrival: number;
  /** Unix ms when the decoder gave the frame. */
  decoded: number;
}

interface SnapshotRequest {
  id: number;
  rendition: Rendition;
}

function now(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * One stream from its decoder to its encoders: frames get the output clock's time, wait for the accelerator, are
 * restored or passed through by their deadline, and leave as access units. Sessions (connections) come and go; the
 * pipeline, its encoders and its clock stay.
 */
export class Pipeline {
  readonly stream: string;
  private readonly host: PipelineHost;
  private settings: RestoreSettings;
  private readonly renditions: Renditions;
  private readonly audio: AudioTrack;
  private readonly report: Reporter;
  private ladder: Ladder;
  private choice: Choice;
  private bitrate = 2_000_000;

  private session = 0;
  private decoder: DecoderProcess | undefined;
  private clock = new OutputClock();
  private input: SourceInfo | undefined;
  private decoderHeight: number | 'auto' = 'auto';
  private live = false;
  private wantAudio = true;

  private pool = new FramePool(0);
  /** The next frame begins a new scene for window and smoothing. */
  private fresh = true;
  private lastPts = 0;
  private readonly waiting: Job[] = [];
  /** Frames inside the inference thread whose pictures are still to come, oldest first. */
  private inside: FrameMeta[] = [];
  private encoding: Promise<void> = Promise.resolve();
  private toEncode = 0;
  private encodeCost = 5;
  private publishedPts = 0;
  private size = { width: 0, height: 0 };
  private snapshots: SnapshotRequest[] = [];
  private failing = false;

  constructor(stream: string, settings: RestoreSettings, host: PipelineHost) {
    this.stream = stream;
    this.host = host;
    this.settings = settings;
    this.renditions = new Renditions(host.encoderThreads);
    this.audio = new AudioTrack((packet) => host.send({ t: 'audio', stream, session: this.session, packet }));
    this.report = new Reporter(now());
    this.choice = this.choose(ASSUMED_FPS);
    this.ladder = this.makeLadder();
  }

  /** Whether this stream asks the accelerator for anything. */
  get restores(): boolean {
    return this.decoder !== undefined && this.ladder.model !== 'none';
  }

  /** Opens the source. A session that is still open is replaced. */
  async start(
    session: number,
    source: SourceSpec,
    settings: RestoreSettings,
    bitrate: number,
  ): Promise<void> {
    await this.disconnect();
    this.session = session;
    this.bitrate = bitrate;
    this.wantAudio = source.audio;
    this.settings = settings;
    this.choice = this.choose(this.input?.fps || ASSUMED_FPS);
    this.ladder = this.makeLadder();
    this.clock = new OutputClock(this.clock.last);
    this.live = false;
    this.connect(source);
  }

  /** Changes how the picture is restored, between two frames. A changed height needs a new session. */
  update(settings: RestoreSettings): void {
    const before = this.settings;
    this.settings = settings;
    if (settings.model === before.model) return;
    this.choice = this.choose(this.input?.fps || ASSUMED_FPS);
    this.ladder = this.makeLadder();
  }

  watch(renditions: Rendition[], opus: boolean, aac: boolean): void {
    this.afterEncoding(() => {
      this.renditions.want(renditions, this.bitrate);
      this.audio.want([...(opus ? (['opus'] as const) : []), ...(aac ? (['aac'] as const) : [])]);
    });
  }

  requestKeyframe(rendition: Rendition): void {
    this.renditions.requestKeyframe(rendition);
  }

  setBitrate(rendition: Rendition, bps: number): void {
    this.renditions.setBitrate(rendition, bps);
  }

  snapshot(id: number, rendition: Rendition): void {
    this.snapshots.push({ id, rendition });
  }

  /** One report; called every second. */
  tick(): void {
    if (this.decoder) {
      const input = this.input && { ...this.input, hasAudio: this.input.hasAudio && this.wantAudio };
      const report = this.report.take(this.stream, now(), input, this.live ? this.restoration() : undefined);
      this.host.send({ t: 'report', report });
    }
  }

  async stop(): Promise<void> {
    await this.disconnect();
    await this.encoding;
    this.renditions.close();
    this.audio.close();
  }

  private choose(fps: number): Choice {
    const { speeds, provider } = this.host.accelerator;
    const { model, height } = this.settings;
    const auto = chooseRestoration(
      speeds,
      provider,
      fps,
      this.host.restoredStreams() + (this.restores ? 0 : 1),
    );
    const lines = height === 'auto' ? auto.height : height;
    if (model === 'auto') return { ...auto, height: lines };
    if (model === 'none') return { model, height: lines, reason: 'restoration is switched off' };
    return { model, height: lines, reason: `${model} as configured` };
  }

  private makeLadder(): Ladder {
    const { speeds } = this.host.accelerator;
    const wanted = this.choice.model;
    const cost = speeds[wanted]?.perMegapixel ?? 0;
    const lighter = Object.entries(speeds)
      .filter(([name, speed]) => name !== wanted && speed.perMegapixel < cost)
      .sort(([, a], [, b]) => b.perMegapixel - a.perMegapixel)
      .map(([name]) => name);
    return new Ladder(wanted === 'none' ? [] : [wanted, ...lighter], now());
  }

  private connect(source: SourceSpec): void {
    const { session } = this;
    this.decoderHeight = this.choice.height;
    this.decoder = spawnDecoder(
      source,
      { height: this.decoderHeight, logger: this.host.logger },
      {
        allocate: (bytes) => this.allocate(bytes),
        frame: (frame) => this.onFrame(frame),
        dropped: () => this.drop('queue-full'),
        audio: (audio) => this.audio.push(audio.data, audio.pts / TICKS_PER_MS, this.clock),
        packet: (packet) => this.report.arrived(packet.size),
        opened: (info) => this.onOpened(info, source),
        ended: ({ error, again }) => {
          this.decoder = undefined;
          if (again) this.connect(again);
          else this.host.send({ t: 'ended', stream: this.stream, session, error: errorInfo(error) });
        },
      },
    );
  }

  private onOpened(info: SourceInfo, source: SourceSpec): void {
    this.input = info;
    // The height was chosen for an assumed frame rate; the true one may allow another.
    const choice = this.choose(info.fps > 0 ? info.fps : ASSUMED_FPS);
    const lines = (height: number) => Math.min(height, info.height);
    if (!this.live && lines(choice.height) !== lines(this.choice.height)) {
      this.choice = choice;
      const old = this.decoder;
      this.decoder = undefined;
      void old?.stop().then(() => {
        if (!this.decoder && source) this.connect(source);
      });
      return;
    }
    this.choice = choice;
  }

  private async disconnect(): Promise<void> {
    const { decoder } = this;
    this.decoder = undefined;
    await decoder?.stop();
    this.waiting.length = 0;
    this.host.inference.forget(this.stream);
    this.inside = [];
    this.fresh = true;
    this.audio.reset();
  }

  private allocate(bytes: number): Uint8Array {
    if (bytes !== this.pool.size) this.pool = new FramePool(bytes);
    return new Uint8Array(this.pool.take());
  }

  private onFrame(frame: DecodedFrame): void {
    const buffer = frame.data.buffer as ArrayBuffer;
    const decoded = now();
    const pts = this.clock.video(frame.pts / TICKS_PER_MS, frame.arrival);
    if (pts === undefined) {
      this.pool.give(buffer);
      this.drop('timestamp');
      return;
    }
    if (!this.live) this.goLive();
    const { width, height } = frame;
    if (pts - this.lastPts > STALE || width !== this.size.width || height !== this.size.height)
      this.fresh = true;
    this.size = { width, height };
    this.lastPts = pts;
    const meta: FrameMeta = { pts, arrival: frame.arrival, decoded };
    if (this.ladder.model === 'none' && this.waiting.length === 0 && this.inside.length === 0)
      this.bypass(meta, buffer);
    else this.queue(meta, buffer);
  }

  private goLive(): void {
    this.live = true;
    this.renditions.refresh();
    const { stream, session } = this;
    this.host.send({ t: 'discontinuity', stream, session, cause: 'source connected' });
    if (this.input) this.host.send({ t: 'live', stream, session, input: this.input });
  }

  private get needSource(): boolean {
    return this.renditions.needSource || this.snapshots.some(({ rendition }) => rendition !== 'restored');
  }

  /** No network wanted: straight to the encoders. */
  private bypass(meta: FrameMeta, buffer: ArrayBuffer): void {
    this.fresh = true;
    this.ladderStep(false);
    const picture = new Uint8Array(buffer);
    this.publish(meta, picture, picture, 'passthrough', meta.decoded, 0, 0, [buffer]);
  }

  private queue(meta: FrameMeta, picture: ArrayBuffer): void {
    if (this.waiting.length >= WAITING) {
      const oldest = this.waiting[0]!;
      if (this.host.inference.withdraw(oldest)) {
        oldest.cancelled();
        this.drop('queue-full');
      }
    }
    const { width, height } = this.size;
    const fresh = this.fresh;
    this.fresh = false;
    const deadline = meta.arrival + this.settings.latencyBudget;
    const { session } = this;
    const job: Job = {
      stream: this.stream,
      deadline,
      dispatch: () => {
        this.unqueue(job);
        this.inside.push(meta);
        const { model } = this.ladder;
        const speed = this.host.accelerator.speeds[model];
        const cost = (speed ? estimate(speed, width, height) : 0) + this.encodeCost;
        const inTime = now() + cost <= deadline;
        if (speed) this.ladderStep(!inTime);
        const bytes = pictureBytes(width, height);
        return {
          model,
          picture,
          out: this.buffer(bytes),
          source: this.needSource ? this.buffer(bytes) : undefined,
          request: {
            width,
            height,
            strength: this.settings.strength,
            smoothing: this.settings.smoothing,
            restore: speed !== undefined && inTime,
            fresh,
          },
        };
      },
      done: (result) => {
        if (session === this.session) this.onDone(result, width, height);
      },
      cancelled: () => {
        this.unqueue(job);
        this.pool.give(picture);
        // Its successor must not be blended with what came before a frame that began a scene.
        if (fresh) this.fresh = true;
      },
    };
    this.waiting.push(job);
    this.host.inference.submit(job);
  }

  private buffer(bytes: number): ArrayBuffer {
    return bytes === this.pool.size ? this.pool.take() : new ArrayBuffer(bytes);
  }

  private unqueue(job: Job): void {
    const at = this.waiting.indexOf(job);
    if (at !== -1) this.waiting.splice(at, 1);
  }

  private onDone(result: FrameDone, width: number, height: number): void {
    for (const buffer of result.recycled) this.pool.give(buffer);
    if (result.error && !this.failing)
      this.host.logger.warn({ stream: this.stream, error: result.error }, 'inference failed');
    this.failing = result.error !== undefined;
    const { timings, out, source, began } = result;
    const buffers = source ? [out, source] : [out];
    // A scene cut inside a lookahead window ends the wait of what came before it.
    while (this.inside.length > result.pending + (timings ? 1 : 0)) {
      this.inside.shift();
      this.drop('restart');
    }
    const meta = timings ? this.inside.shift() : undefined;
    if (!timings || !meta) {
      for (const buffer of buffers) this.pool.give(buffer);
      return;
    }
    const outcome = timings.restore > 0 ? 'restored' : 'passthrough';
    this.publish(
      meta,
      new Uint8Array(out),
      source && new Uint8Array(source),
      outcome,
      began,
      timings.restore,
      timings.smooth,
      buffers,
      { width, height },
    );
  }

  /** Hands a finished picture to the encoders, in order; `buffers` go back to the pool afterwards. */
  private publish(
    meta: FrameMeta,
    restored: Uint8Array,
    source: Uint8Array | undefined,
    outcome: 'restored' | 'passthrough',
    began: number,
    restore: number,
    smooth: number,
    buffers: ArrayBuffer[],
    { width, height } = this.size,
  ): void {
    if (this.toEncode >= WAITING) {
      for (const buffer of buffers) this.pool.give(buffer);
      this.drop('encoder');
      return;
    }
    const frame: FinishedFrame = {
      restored,
      source,
      width,
      height,
      pts: meta.pts,
      arrival: meta.arrival,
      outcome,
    };
    const { session } = this;
    this.toEncode++;
    this.afterEncoding(async () => {
      const start = now();
      try {
        const units = await this.renditions.encode(frame, this.input?.fps || ASSUMED_FPS);
        for (const unit of units) this.host.send({ t: 'unit', stream: this.stream, session, unit });
        const end = now();
        this.encodeCost += (end - start - this.encodeCost) / 16;
        this.publishedPts = meta.pts;
        this.report.published(outcome, {
          decode: Math.max(0, meta.decoded - meta.arrival),
          queue: Math.max(0, began - meta.decoded),
          restore,
          smooth,
          encode: end - start,
          total: end - meta.arrival,
        });
        await this.serveSnapshots(frame);
      } catch (error) {
        this.drop('encoder');
        this.host.logger.warn({ stream: this.stream, error: errorInfo(error) }, 'encoding failed');
      } finally {
        this.toEncode--;
        for (const buffer of buffers) this.pool.give(buffer);
        // Audio never waits longer than the picture may take.
        const latest = (now() - this.settings.latencyBudget * 2) * TICKS_PER_MS;
        this.audio.release(this.publishedPts, latest);
      }
    });
  }

  private afterEncoding(work: () => void | Promise<void>): void {
    this.encoding = this.encoding.then(work).catch((error: unknown) => {
      this.host.logger.error({ stream: this.stream, error: errorInfo(error) }, 'pipeline step failed');
    });
  }

  private async serveSnapshots(frame: FinishedFrame): Promise<void> {
    const requests = this.snapshots;
    // Those that need the unrestored picture wait for a frame that brings it along.
    this.snapshots = requests.filter(({ rendition }) => rendition !== 'restored' && !frame.source);
    const jpegs = new Map<Rendition, Promise<Uint8Array>>();
    for (const { id, rendition } of requests) {
      if (rendition !== 'restored' && !frame.source) continue;
      const jpeg = jpegs.get(rendition) ?? snapshotOf(rendition, frame);
      jpegs.set(rendition, jpeg);
      try {
        this.host.send({ t: 'snapshot', id, jpeg: await jpeg });
      } catch (error) {
        this.host.send({ t: 'snapshot', id, error: errorInfo(error) });
      }
    }
  }

  private ladderStep(missed: boolean): void {
    const from = this.ladder.model;
    const moved = this.ladder.observe(missed, now());
    if (moved === 0) return;
    const { stream } = this;
    this.host.logger.info(
      { stream, from, to: this.ladder.model },
      moved > 0 ? 'restoration steps down' : 'restoration climbs',
    );
  }

  private drop(cause: DropCause): void {
    this.report.drop(cause);
  }

  private restoration(): RestorationInfo {
    const { step, model } = this.ladder;
    return {
      model,
      provider: this.host.accelerator.provider,
      ...this.size,
      strength: this.settings.strength,
      smoothing: this.settings.smoothing,
      reason:
        step > 0
          ? `${this.choice.model} missed too many deadlines on this host; ${model} until it is quieter`
          : this.choice.reason,
      step,
    };
  }
}

function snapshotOf(rendition: Rendition, frame: FinishedFrame): Promise<Uint8Array> {
  const { restored, source, width, height } = frame;
  if (rendition === 'restored') return encodeJpeg(restored, width, height);
  if (!source)
    throw new ClearwayError('CLEARWAY_STREAM_OFFLINE', 'The source picture is not at hand.', {
      retryable: true,
    });
  if (rendition === 'source') return encodeJpeg(source, width, height);
  const beside = new Uint8Array(pictureBytes(width * 2, height));
  sideBySide(source, restored, width, height, beside);
  return encodeJpeg(beside, width * 2, height);
}
