import type { Capture } from '../codec/capture-clock.ts';
import type { DecodedFrame } from '../codec/decoder-process.ts';
import { type Decoder, openDecoder } from '../codec/decoders.ts';
import type { HardwareEncoder } from '../codec/encoder-kinds.ts';
import { errorInfo } from '../contracts/errors.ts';
import { CLOCK_RATE, type Rendition } from '../contracts/media.ts';
import type { RestorerEvent, RestorerFacts, RestoreSettings, SourceSpec } from '../contracts/restorer.ts';
import type { RestorationInfo, SourceInfo } from '../contracts/stream.ts';
import { now } from '../contracts/time.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Admission } from './admission.ts';
import { AudioTrack } from './audio-track.ts';
import { OutputClock } from './clock.ts';
import { estimate } from './estimate.ts';
import { FrameFlow } from './frame-flow.ts';
import type { Inference } from './inference.ts';
import { Ladder } from './ladder.ts';
import { PictureProbe } from './picture-probe.ts';
import type { Chooser } from './rechoice.ts';
import { type FinishedFrame, Renditions } from './renditions.ts';
import type { RunningCost } from './running-cost.ts';
import { Snapshots } from './snapshots.ts';
import { Reporter } from './stream-report.ts';
import { type Choice, chooseRestoration } from './working-height.ts';

const TICKS_PER_MS = CLOCK_RATE / 1000;

/** What a pipeline needs of its process. */
export interface PipelineHost {
  inference: Inference;
  /** What this restorer found or, until its models are open, what an earlier one did. */
  facts: RestorerFacts;
  /** What restoring costs now; one for all streams. */
  cost: RunningCost;
  /** Who is restored; one for all streams. */
  admission: Admission;
  /** Other streams that are to be restored on this accelerator. */
  wantingBeside(pipeline: Pipeline): number;
  encoderThreads: number;
  /** What encodes; software when absent, or until it was tried. */
  encoder: HardwareEncoder | undefined;
  send(event: RestorerEvent): void;
  logger: Logger;
}

/**
 * One stream in the restorer: opens its source in a decoder child, gives frames the output clock's time, and sends
 * access units, audio and reports. Sessions (connections) come and go; the pipeline, its encoders and its clock stay.
 */
export class Pipeline implements Chooser {
  private static count = 0;
  readonly order = Pipeline.count++;
  readonly stream: string;
  private readonly host: PipelineHost;
  private settings: RestoreSettings;
  private readonly renditions: Renditions;
  private readonly snapshots: Snapshots;
  private readonly audio: AudioTrack;
  private readonly report: Reporter;
  private readonly probe = new PictureProbe();
  private readonly flow: FrameFlow;
  ladder: Ladder;
  watched = false;
  choice: Choice;
  private bitrate = 0;

  private session = 0;
  /** Lines the decoder was asked for. */
  private asked = 0;
  private decoder: Decoder | undefined;
  /** Why it is decoded in software although there is a hardware decoder. */
  private hardwareFailure: string | undefined;
  private clock = new OutputClock();
  private input: SourceInfo | undefined;
  /** The session has shown a picture. */
  private live = false;
  /** What the newest frame says of the camera's clock. */
  private capture: Pick<SourceInfo, 'captureClock' | 'captureLead'> = {};
  /** The last frame could not be encoded in every rendition; said once, not for each frame. */
  private encoderFailing = false;
  /** Everything that uses the encoders, one after another. */
  private encoding: Promise<void> = Promise.resolve();

  constructor(stream: string, settings: RestoreSettings, host: PipelineHost) {
    this.stream = stream;
    this.host = host;
    this.settings = settings;
    this.renditions = new Renditions({
      threads: host.encoderThreads,
      hardware: host.encoder,
      hardwareFailed: (rendition, why) =>
        host.logger.warn({ stream, rendition, why }, 'hardware encoding failed: software from now on'),
    });
    this.snapshots = new Snapshots(host.send);
    this.audio = new AudioTrack((packet) => host.send({ t: 'audio', stream, session: this.session, packet }));
    this.report = new Reporter(now());
    this.flow = new FrameFlow({
      stream,
      inference: host.inference,
      cost: host.cost,
      renditions: this.renditions,
      snapshots: this.snapshots,
      report: this.report,
      probe: this.probe,
      logger: host.logger,
      settings: () => this.settings,
      ladder: () => this.ladder,
      fps: () => this.fps,
      resized: (smaller) => this.onResized(smaller),
      inEncoderTurn: (work) => this.inEncoderTurn(work),
      publish: (frame) => this.publish(frame),
    });
    this.choice = this.choose();
    this.ladder = this.makeLadder();
  }

  /** Whether this stream asks the accelerator for anything. */
  get wanting(): boolean {
    return this.choice.model !== 'none';
  }

  /** Whether pictures come now. */
  get showing(): boolean {
    return this.live && this.decoder !== undefined;
  }

  share(model: string, lines?: number): number {
    return this.flow.share(model, lines) / this.host.facts.lanes;
  }

  tooHeavy(model: string): boolean {
    return this.flow.tooHeavy(model);
  }

  lines({ height }: Pick<Choice, 'height'>): number {
    return Math.min(height, this.input?.height ?? height);
  }

  shareOf(choice: Choice): number {
    return this.share(choice.model, this.lines(choice));
  }

  moved(from: string, why: string): void {
    const { stream, ladder } = this;
    this.host.logger.info({ stream, from, to: ladder.model, why }, 'restoration changes');
  }

  /** ms since the picture that is being encoded was begun; 0 while none is. */
  get encodingFor(): number {
    return this.renditions.busyFor;
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
    this.settings = settings;
    this.choice = this.choose();
    this.ladder = this.makeLadder();
    this.connect(source);
  }

  /** A hardware encoder turned out to work. */
  encodeOn(encoder: HardwareEncoder): void {
    this.inEncoderTurn(async () => this.renditions.moveTo(encoder));
  }

  /** The facts are not what they were taken for: chooses anew, at once. */
  rechoose(): void {
    this.host.admission.leave(this, now());
    this.choice = this.choose();
    this.ladder = this.makeLadder();
    if (this.showing) this.place();
    this.fitHeight();
  }

  /** Changes how the picture is restored, between two frames. */
  update(settings: RestoreSettings): void {
    const { model, height, strength } = this.settings;
    this.settings = settings;
    const touched = (settings.strength === 0) !== (strength === 0);
    if (settings.model !== model || settings.height !== height || touched) this.rechoose();
  }

  take(choice: Choice, why: string): void {
    const { stream, choice: from } = this;
    this.host.logger.info(
      { stream, from: { model: from.model, height: from.height }, to: choice, why },
      'restoration is chosen again',
    );
    this.choice = choice;
    if (choice.model !== from.model) {
      this.ladder = this.makeLadder();
      this.place();
    }
    this.fitHeight();
  }

  watch(renditions: Rendition[], opus: boolean, aac: boolean, watched = false): void {
    this.watched = watched;
    this.inEncoderTurn(async () => {
      this.renditions.want(renditions, this.bitrate);
      this.audio.want([...(opus ? (['opus'] as const) : []), ...(aac ? (['aac'] as const) : [])]);
    });
  }

  requestKeyframe(rendition: Rendition): void {
    this.inEncoderTurn(async () => this.renditions.requestKeyframe(rendition));
  }

  setBitrate(rendition: Rendition, bps: number): void {
    this.inEncoderTurn(async () => this.renditions.setBitrate(rendition, bps));
  }

  snapshot(id: number, rendition: Rendition): void {
    this.snapshots.request(id, rendition);
  }

  /** Sends the figures since the last call; called every second. */
  tick(): void {
    if (!this.decoder) return;
    this.recount();
    this.host.send({
      t: 'report',
      report: {
        ...this.report.take(this.stream, now(), this.described(), this.live ? this.restoration() : undefined),
        ...this.probe.take(),
        encoders: this.renditions.encoders,
      },
    });
  }

  async stop(): Promise<void> {
    await this.disconnect();
    await this.encoding;
    this.renditions.close();
    this.audio.close();
  }

  private get fps(): number {
    // Streams without timing announce none, or absurd rates.
    const fps = this.input?.fps ?? 0;
    return fps >= 1 && fps <= 240 ? fps : this.flow.fps;
  }

  choose(): Choice {
    const { provider, lanes } = this.host.facts;
    const speeds = this.host.cost.lasting;
    const { model, height, strength } = this.settings;
    const streams = 1 + this.host.wantingBeside(this);
    const speed = speeds[model];
    // Only what may run decides how large a picture can be.
    const usable = model === 'auto' ? speeds : speed ? { [model]: speed } : {};
    const fixed = height === 'auto' ? undefined : this.lines({ height });
    const auto = chooseRestoration({ speeds: usable, provider, lanes }, this.fps, streams, fixed);
    const lines = height === 'auto' ? auto.height : height;
    if (model === 'none') return { model, height: lines, streams, reason: 'restoration is switched off' };
    if (strength === 0)
      return { model: 'none', height: lines, streams, reason: 'strength is 0: the picture is left as it is' };
    if (model === 'auto') return { ...auto, height: lines };
    if (!speed) return { model: 'none', height: lines, streams, reason: this.whyNot(model) };
    const why = height === 'auto' ? `; ${auto.reason}` : '';
    return { model, height: lines, streams, reason: `${model} as configured${why}` };
  }

  /** The configuration file may name a model that is not there or not fit; the picture goes on without it. */
  private whyNot(model: string): string {
    const info = this.host.facts.models.find(({ name }) => name === model);
    const wrong = info?.error ?? (info ? `Model ${model} is a ${info.kind}.` : `There is no model ${model}.`);
    return `${wrong} Frames pass through until another is chosen.`;
  }

  /** Streams came or went: where the choice stays the same its reason is another. */
  private recount(): void {
    const { model, height, streams } = this.choice;
    if (streams === 1 + this.host.wantingBeside(this)) return;
    const choice = this.choose();
    if (choice.model === model && choice.height === height) this.choice = choice;
  }

  private makeLadder(): Ladder {
    const { speeds } = this.host.facts;
    const wanted = this.choice.model;
    const cost = speeds[wanted]?.perMegapixel ?? 0;
    const lighter = Object.entries(speeds)
      .filter(([name, speed]) => name !== wanted && speed.perMegapixel < cost)
      .sort(([, a], [, b]) => b.perMegapixel - a.perMegapixel)
      .map(([name]) => name);
    return new Ladder(wanted === 'none' ? [] : [wanted, ...lighter]);
  }

  private onResized(smaller: boolean): void {
    if (smaller) this.host.admission.ease(this, now());
    // One that is restored as wanted keeps its place with less.
    if (!smaller || this.ladder.step > 0) this.place();
  }

  private place(): void {
    this.host.admission.leave(this, now());
    if (this.wanting) this.host.admission.place(this);
  }

  private connect(source: SourceSpec): void {
    const { session, stream } = this;
    this.asked = this.choice.height;
    this.live = false;
    this.capture = {};
    // Every connection counts from a time of its own.
    this.clock = new OutputClock(this.clock.last);
    const hardware = this.hardwareFailure === undefined ? this.host.facts.decoder : undefined;
    const decoder = openDecoder(
      source,
      { height: this.asked, logger: this.host.logger, hardware },
      {
        allocate: (bytes) => this.flow.allocate(bytes),
        frame: (frame) => this.onFrame(frame),
        dropped: () => this.report.drop('queue-full'),
        audio: ({ data, pts }) => this.audio.push(data, pts / TICKS_PER_MS, this.clock),
        packet: ({ size }) => this.report.arrived(size),
        opened: (info) => this.onOpened(info),
        hardwareFailed: (why) => this.leaveHardware(why),
        ended: ({ error, again }) => {
          if (this.decoder !== decoder) return;
          this.decoder = undefined;
          const refused = hardware && this.hardwareFailure !== undefined && !this.live;
          if (again ?? refused) return this.connect(again ?? source);
          this.host.admission.leave(this, now());
          this.host.send({ t: 'ended', stream, session, error: errorInfo(error) });
        },
      },
    );
    this.decoder = decoder;
  }

  /** A hardware decoder that failed once, for want of sessions say, is not asked again by this stream. */
  private leaveHardware(why: string): void {
    if (this.hardwareFailure !== undefined) return;
    this.hardwareFailure = why;
    this.host.logger.warn({ stream: this.stream, why }, 'hardware decoding failed: software from now on');
  }

  private get decoderName(): string {
    if (this.hardwareFailure !== undefined) return `software (${this.hardwareFailure})`;
    return this.host.facts.decoder?.method ?? 'software';
  }

  /** The choice was for an assumed frame rate. */
  private onOpened(info: SourceInfo): void {
    this.input = info;
    if (!this.live) this.rechoose();
  }

  private fitHeight(): void {
    const { height } = this.choice;
    if (this.asked === height) return;
    this.asked = height;
    this.decoder?.setHeight(height);
  }

  private async disconnect(): Promise<void> {
    const { decoder } = this;
    this.decoder = undefined;
    this.session = 0;
    this.host.admission.leave(this, now());
    await decoder?.stop();
    this.flow.reset();
    this.probe.reset();
    this.audio.reset();
  }

  private onFrame({ data, width, height, pts: source, arrival, capture }: DecodedFrame): void {
    const buffer = data.buffer as ArrayBuffer;
    const pts = this.clock.video(source / TICKS_PER_MS, arrival);
    if (pts === undefined) {
      this.flow.giveBack(buffer);
      this.report.drop('timestamp');
      return;
    }
    if (!this.live) this.goLive();
    this.probe.decoded(data, width, height, arrival);
    this.noteCapture(capture, pts);
    const captured = typeof capture === 'number' ? Math.max(0, arrival - capture) : undefined;
    this.flow.push({ width, height, pts, arrival, captured, decoded: now() }, buffer);
  }

  private noteCapture(capture: Capture, pts: number): void {
    if (capture === 'wrong' && this.capture.captureClock !== 'wrong')
      this.host.logger.warn(
        { stream: this.stream },
        'the camera’s clock or this host’s is wrong: by them its pictures are taken in the future, or more than 10 s before they arrive; latency is counted from arrival; give both a time server (NTP)',
      );
    if (capture === 'wrong') this.capture = { captureClock: 'wrong' };
    else if (capture !== undefined)
      this.capture = { captureClock: 'camera', captureLead: pts / TICKS_PER_MS - capture };
  }

  private described(): SourceInfo | undefined {
    return this.input && { ...this.input, ...this.capture, decoder: this.decoderName };
  }

  private goLive(): void {
    const { stream, session } = this;
    this.live = true;
    this.inEncoderTurn(async () => this.renditions.refresh());
    this.host.send({ t: 'discontinuity', stream, session, cause: 'source connected' });
    if (this.input) this.host.send({ t: 'live', stream, session, input: this.input });
  }

  private async publish(frame: FinishedFrame): Promise<void> {
    const { stream, session } = this;
    const { units, failures } = await this.renditions.encode(frame, this.fps);
    if (failures.length > 0 && !this.encoderFailing)
      this.host.logger.warn({ stream, error: errorInfo(failures[0]) }, 'encoding failed');
    this.encoderFailing = failures.length > 0;
    if (units.length === 0 && failures.length > 0) throw failures[0];
    if (session === 0) return;
    for (const unit of units) this.host.send({ t: 'unit', stream, session, unit });
    // Audio never waits longer than the picture may take.
    const latest = (now() - this.settings.latencyBudget * 2) * TICKS_PER_MS;
    this.audio.release(frame.pts, latest);
  }

  private inEncoderTurn(work: () => Promise<void>): void {
    this.encoding = this.encoding.then(work).catch((error: unknown) => {
      this.host.logger.error({ stream: this.stream, error: errorInfo(error) }, 'pipeline step failed');
    });
  }

  private restoration(): RestorationInfo {
    const { inference, facts } = this.host;
    const { provider } = facts;
    const { strength, smoothing } = this.settings;
    const described = { provider, ...this.flow.size, strength, smoothing };
    if (!this.wanting) {
      const { model, reason } = this.choice;
      // Where no model can be used, passing through is nobody's wish.
      const wanted = this.settings.model === 'none' || strength === 0;
      return { model, ...described, reason, step: wanted ? 0 : 1 };
    }
    const { step, model } = inference.open ? this.ladder : this.ladder.last;
    const reason = step > 0 ? this.whyNotAsWanted() : this.choice.reason;
    return { model, ...described, reason, step };
  }

  /** Why it runs lighter than wanted, and what to do about it. */
  private whyNotAsWanted(): string {
    const { ladder, choice, flow } = this;
    const { inference, admission, facts } = this.host;
    const { provider, speeds } = facts;
    if (!inference.open) return `${choice.model} is being opened: frames pass through until it is`;
    const { width, height } = flow.size;
    const so = ladder.restores ? `restored by ${ladder.model} instead of ${choice.model}` : 'not restored';
    if (flow.tooHeavy(choice.model)) {
      const ms = estimate(speeds[choice.model]!, width, height).toFixed(0);
      return `${so}: ${choice.model} takes ${ms} ms a ${width}x${height} frame on ${provider}, too long at ${Math.round(this.fps)} fps and latencyBudget ${this.settings.latencyBudget} ms; choose a lighter model or a lower height`;
    }
    if (admission.restored > 0)
      return `${so}: ${provider} here has room for ${admission.restored} of ${admission.size} streams, watched ones first; to make room, lower heights, set model none for some, or add a GPU`;
    return `${so}: too many frames were late because this host is busy; tried again by itself`;
  }
}
