import type { Config } from '../../config/schema.ts';
import { type ClearwayError, streamOffline } from '../../contracts/errors.ts';
import { type AccessUnit, type AudioPacket, CLOCK_RATE, type Rendition } from '../../contracts/media.ts';
import type { PublishedStream, Subscription } from '../../contracts/publish.ts';
import type { Logger } from '../../telemetry/log.ts';
import { Changes } from './changes.ts';
import { MediaWindow, type Position } from './media-window.ts';
import { Segmenter } from './segmenter.ts';
import { planTiming } from './timing.ts';

/** How long a first request waits for media, ms: a camera on demand needs a few seconds to connect. */
const START_TIMEOUT = 10_000;
/** The frame rate is known after this many pictures, or this many ticks of fewer. */
const OPENING_PICTURES = 6;
const OPENING_TICKS = 2 * CLOCK_RATE;
/** Audio packets held meanwhile. */
const MAX_OPENING_AUDIO = 200;

export interface RenditionMuxerOptions {
  stream: PublishedStream;
  rendition: Rendition;
  config: Config['hls'];
  /** Where an earlier muxer of the same rendition ended. */
  resume: Position | undefined;
  logger: Logger;
  /** Nobody has asked for anything for `config.idle`, or the stream is gone for good: close it. */
  onIdle: () => void;
}

/**
 * One rendition of one stream as HLS: from its subscription to the window of segments that requests are answered from.
 * Whether there is an audio track is settled at the start, since players cannot add or drop one (MSE): sound that stops
 * becomes silence, sound that appears later is heard once the muxer has been idle and starts anew.
 */
export class RenditionMuxer {
  readonly changes = new Changes();
  readonly #options: RenditionMuxerOptions;
  readonly #subscription: Subscription;
  readonly #idle: NodeJS.Timeout;
  /** Until enough pictures have come to know the frame rate. */
  #opening: AccessUnit[] = [];
  #openingAudio: AudioPacket[] = [];
  #segmenter: Segmenter | undefined;
  #window: MediaWindow | undefined;
  #ended = false;
  #closed = false;

  constructor(options: RenditionMuxerOptions) {
    this.#options = options;
    const { stream, rendition, config } = options;
    this.#subscription = stream.subscribe({
      rendition,
      sink: {
        video: (unit) => this.#guarded(() => this.#video(unit)),
        audio: (packet) => this.#guarded(() => this.#audio(packet)),
        discontinuity: () => this.#guarded(() => this.#discontinuity()),
        end: () => this.#guarded(() => this.#end()),
      },
      ...(stream.hasAudio === false ? {} : { audio: 'aac' }),
    });
    this.#idle = setTimeout(() => this.#onTimeout(), config.idle);
    this.#subscription.requestKeyframe();
  }

  /** Absent until the first picture rate is known. */
  get window(): MediaWindow | undefined {
    return this.#window;
  }

  /** The stream is gone for good; the playlist ends. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Somebody is watching: the muxer lives on for another `config.idle`. */
  touch(): void {
    if (!this.#closed) this.#idle.refresh();
  }

  /** The window once `condition` holds of it. Throws CLEARWAY_STREAM_OFFLINE (503) when it does not in `timeout` ms. */
  async until(
    condition: (window: MediaWindow) => boolean,
    signal: AbortSignal,
    timeout = START_TIMEOUT,
  ): Promise<MediaWindow> {
    const holds = () => {
      if (this.#closed || (this.#window === undefined && this.#nothingComes)) throw this.#offline();
      return this.#window !== undefined && condition(this.#window);
    };
    const came = await this.changes.until(holds, timeout, signal);
    if (!came || this.#window === undefined) throw this.#offline();
    return this.#window;
  }

  /** Lets go of the stream and of all media; who waits is answered 503. Gives where it ended. */
  close(): Position | undefined {
    this.#closed = true;
    clearTimeout(this.#idle);
    this.#subscription.close();
    this.#segmenter?.close();
    this.#opening = [];
    this.#openingAudio = [];
    const end = this.#window?.end;
    this.#window = undefined;
    this.changes.notify();
    return end;
  }

  /** A request under way is somebody who watches. */
  #onTimeout(): void {
    if (this.changes.waiting > 0) this.#idle.refresh();
    else this.#options.onIdle();
  }

  /** A sink must not throw into the stream: what one unit breaks ends at the next keyframe. */
  #guarded(step: () => void): void {
    if (this.#closed) return;
    try {
      step();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'HLS muxing failed; starting over');
      this.#options.onIdle();
    }
  }

  #video(unit: AccessUnit): void {
    if (this.#segmenter !== undefined) {
      this.#segmenter.video(unit);
      return;
    }
    const first = this.#opening[0];
    if (first === undefined && !unit.key) return;
    if (first !== undefined && unit.pts <= this.#opening.at(-1)!.pts) return;
    this.#opening.push(unit);
    const span = unit.pts - (first ?? unit).pts;
    if (span >= OPENING_TICKS || this.#opening.length >= OPENING_PICTURES) this.#start();
  }

  #audio(packet: AudioPacket): void {
    if (this.#segmenter !== undefined) {
      this.#segmenter.audio(packet);
      return;
    }
    this.#openingAudio.push(packet);
    if (this.#openingAudio.length > MAX_OPENING_AUDIO) this.#openingAudio.shift();
  }

  #discontinuity(): void {
    this.#segmenter?.discontinuity();
    this.#opening = [];
  }

  #end(): void {
    this.#ended = true;
    this.#segmenter?.discontinuity();
    this.#window?.finish();
    this.changes.notify();
  }

  #start(): void {
    const { config, resume, logger, stream } = this.#options;
    const intervals = this.#opening.slice(1).map((unit, index) => unit.pts - this.#opening[index]!.pts);
    const window = new MediaWindow({
      timing: planTiming(config, intervals),
      keep: config.segments,
      start: resume ?? { msn: Math.floor(Date.now() / 1000), discontinuity: 0 },
      onChange: () => this.changes.notify(),
    });
    this.#window = window;
    this.#segmenter = new Segmenter({
      window,
      audio: stream.hasAudio ?? this.#openingAudio.length > 0,
      resumed: resume !== undefined,
      requestKeyframe: () => this.#subscription.requestKeyframe(),
      logger,
    });
    for (const packet of this.#openingAudio) this.#segmenter.audio(packet);
    for (const unit of this.#opening) this.#segmenter.video(unit);
    this.#opening = [];
    this.#openingAudio = [];
    this.changes.notify();
  }

  get #nothingComes(): boolean {
    return this.#ended || this.#options.stream.status.state === 'disabled';
  }

  #offline(): ClearwayError {
    return streamOffline(this.#options.stream.status);
  }
}
