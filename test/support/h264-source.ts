import { EventEmitter } from 'node:events';
import { ClearwayError } from '../../src/contracts/errors.ts';
import { type AudioCodec, CLOCK_RATE, type Rendition } from '../../src/contracts/media.ts';
import type {
  PublishedStream,
  Sink,
  StreamDirectory,
  SubscribeOptions,
  Subscription,
} from '../../src/contracts/publish.ts';
import type { StreamStatus } from '../../src/contracts/stream.ts';
import { now } from '../../src/contracts/time.ts';
import { encodeMaterial, type Material, type MaterialOptions } from './h264-material.ts';

export interface H264SourceOptions extends Partial<MaterialOptions> {
  name?: string;
  /** Default true. */
  audio?: boolean;
}

/** Ticks of one audio packet: 20 ms of Opus, 1024 samples of AAC at 48 kHz. */
const AUDIO_TICKS: Record<AudioCodec, number> = { opus: 1800, aac: 1920 };

const encoded = new Map<string, Promise<Material>>();

/** A stream for publishers to publish: real H.264, Opus and AAC, looped on the real clock with ever-growing pts. */
export async function createH264Source(options: H264SourceOptions = {}): Promise<H264Source> {
  const { name = 'test', audio = true, ...rest } = options;
  const shape = { width: 320, height: 240, fps: 25, gop: 50, bitrate: 500_000, ...rest };
  const key = JSON.stringify(shape);
  const material = encoded.get(key) ?? encodeMaterial(shape);
  encoded.set(key, material);
  return new H264Source(name, shape, await material, audio);
}

/**
 * Emits while somebody is subscribed; stops with the last `close()`. Keyframe requests jump to the next IDR picture
 * of the loop, sound along with it. As on a real stream, what a new subscriber gets first need not be a keyframe.
 */
export class H264Source implements PublishedStream {
  readonly name: string;
  readonly hasAudio: boolean;
  /** Every bitrate wish heard, `undefined` for withdrawn ones. */
  readonly bitrates: (number | undefined)[] = [];
  keyframeRequests = 0;

  readonly #shape: MaterialOptions;
  readonly #material: Material;
  readonly #subscribers = new Set<SubscribeOptions>();
  readonly #epoch = Math.round(Date.now() * 90);
  readonly #audioPts: Record<AudioCodec, number> = { opus: this.#epoch, aac: this.#epoch };
  /** Frames since the epoch that are out, and how far keyframe requests have moved the picture ahead. */
  #count = 0;
  #jump = 0;
  #keyWanted = false;
  #stalled = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(name: string, shape: MaterialOptions, material: Material, audio: boolean) {
    this.name = name;
    this.hasAudio = audio;
    this.#shape = shape;
    this.#material = material;
  }

  get status(): StreamStatus {
    const { width, height, fps } = this.#shape;
    return {
      name: this.name,
      state: 'live',
      cause: 'test source',
      since: new Date(this.#epoch / 90).toISOString(),
      reconnects: 0,
      source: 'test:',
      onDemand: false,
      input: { width, height, codec: 'h264', fps, hasAudio: this.hasAudio },
      fps,
      frames: { restored: this.#count, passthrough: 0, dropped: 0 },
      viewers: { webrtc: 0, hls: 0 },
    };
  }

  /** Open subscriptions, of one rendition or of all. */
  subscribers(rendition?: Rendition): number {
    return [...this.#subscribers].filter((s) => rendition === undefined || s.rendition === rendition).length;
  }

  subscribe(options: SubscribeOptions): Subscription {
    this.#subscribers.add(options);
    if (this.#timer === undefined) this.#start();
    return {
      requestKeyframe: () => {
        this.keyframeRequests++;
        this.#keyWanted = true;
      },
      setBitrate: (bps) => this.bitrates.push(bps),
      close: () => {
        this.#subscribers.delete(options);
        if (this.#subscribers.size === 0) this.#stop();
      },
    };
  }

  snapshot(): Promise<Uint8Array> {
    return Promise.reject(
      new ClearwayError('CLEARWAY_STREAM_OFFLINE', 'The test source has no snapshots.', { status: 503 }),
    );
  }

  /** Goes silent as a restarting restorer does. */
  stall(): void {
    this.#stalled = true;
  }

  /** Comes back from `stall` with a discontinuity and a keyframe. */
  resume(cause = 'restorer restarted'): void {
    this.#stalled = false;
    this.#keyWanted = true;
    this.#each((sink) => sink.discontinuity?.(cause));
  }

  /** The stream is removed for good. */
  end(): void {
    this.#each((sink) => sink.end?.());
    this.#subscribers.clear();
    this.#stop();
  }

  #start(): void {
    this.#count = Math.ceil((Date.now() * 90 - this.#epoch) / this.#frameTicks);
    this.#tick();
  }

  #stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  get #frameTicks(): number {
    return CLOCK_RATE / this.#shape.fps;
  }

  #tick(): void {
    const due = Math.floor((Date.now() * 90 - this.#epoch) / this.#frameTicks);
    for (; this.#count <= due; this.#count++) this.#emit();
    if (this.#subscribers.size === 0) return;
    const wait = (this.#epoch + this.#count * this.#frameTicks) / 90 - Date.now();
    this.#timer = setTimeout(() => this.#tick(), Math.max(1, wait));
  }

  #emit(): void {
    const { pictures } = this.#material;
    const at = () => (this.#count + this.#jump) % pictures.length;
    const pts = Math.round(this.#epoch + this.#count * this.#frameTicks);
    if (!this.#stalled) {
      if (this.#keyWanted) while (!pictures[at()]!.key) this.#jump++;
      this.#keyWanted = false;
      const { data, key } = pictures[at()]!;
      const { width, height } = this.#shape;
      const arrival = now();
      this.#each((sink, { rendition }) =>
        sink.video({
          rendition,
          data,
          pts,
          key,
          width,
          height,
          arrival,
          encoded: arrival,
          outcome: 'restored',
        }),
      );
    }
    for (const codec of ['opus', 'aac'] as const) this.#emitAudio(codec, pts);
  }

  #emitAudio(codec: AudioCodec, until: number): void {
    const packets = this.#material.audio[codec];
    const duration = AUDIO_TICKS[codec];
    for (let pts = this.#audioPts[codec]; pts <= until; pts += duration) {
      this.#audioPts[codec] = pts + duration;
      if (this.#stalled || !this.hasAudio || pts < until - CLOCK_RATE / 2) continue;
      const heard = Math.round((pts - this.#epoch + this.#jump * this.#frameTicks) / duration);
      const data = packets[heard % packets.length]!;
      this.#each((sink, { audio }) => {
        if (audio === codec) sink.audio?.({ codec, data, pts, duration });
      });
    }
  }

  #each(call: (sink: Sink, options: SubscribeOptions) => void): void {
    for (const options of [...this.#subscribers]) call(options.sink, options);
  }
}

/** A StreamDirectory over given streams; `remove` ends a stream and tells who listens. */
export class FakeDirectory implements StreamDirectory {
  readonly #streams: Map<string, PublishedStream>;
  readonly #events = new EventEmitter<{ removed: [name: string] }>();

  constructor(...streams: PublishedStream[]) {
    this.#streams = new Map(streams.map((stream) => [stream.name, stream]));
  }
  get(name: string): PublishedStream | undefined {
    return this.#streams.get(name);
  }
  list(): PublishedStream[] {
    return [...this.#streams.values()];
  }
  on(event: 'removed', listener: (name: string) => void): void {
    this.#events.on(event, listener);
  }
  remove(name: string): void {
    const stream = this.#streams.get(name);
    this.#streams.delete(name);
    if (stream instanceof H264Source) stream.end();
    this.#events.emit('removed', name);
  }
}
