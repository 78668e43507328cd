import { ClearwayError } from '../contracts/errors.ts';
import { CLOCK_RATE } from '../contracts/media.ts';
import type { HardwareDecoder, SourceSpec } from '../contracts/restorer.ts';
import type { SourceInfo } from '../contracts/stream.ts';
import { now } from '../contracts/time.ts';
import { redact } from '../telemetry/redact.ts';
import { ByteQueue } from './byte-queue.ts';
import { type Capture, CaptureClock, ProducerTimeReader } from './capture-clock.ts';
import { decoderArguments, heightCommand } from './decoder-arguments.ts';
import { type LogEvent, parseLogLine, parsePacketLine, parseTimeBase } from './decoder-log.ts';
import { ffmpegPath } from './ffmpeg.ts';
import { spawnFfmpeg } from './ffmpeg-child.ts';
import { alternative, classifyFailure } from './ffmpeg-failure.ts';
import { isHardwareTrouble, saysSoftware } from './hardware-decoder.ts';
import { readLines } from './lines.ts';

/** A video packet as it came from the network. */
export interface ArrivedPacket {
  /** Source clock, 90 kHz ticks; the clock of the frames. */
  pts: number | undefined;
  /** Bytes. */
  size: number;
  /** Unix time in ms, monotonic. */
  arrival: number;
}

export interface DecodedFrame {
  /** Planar I420, limited range, no padding: width * height * 3 / 2 bytes of the buffer `allocate` gave. */
  data: Uint8Array;
  /** Even, square pixels. May change from one frame to the next when the camera changes resolution. */
  width: number;
  height: number;
  /** Source clock, 90 kHz ticks; may jump either way when the camera's clock does. */
  pts: number;
  /**
   * Unix time in ms when the packet it was decoded from was demuxed. Over RTSP ffmpeg hands H.264 and H.265 on when
   * the next picture begins, one frame interval after the last byte came (measured: 40 ms at 25 fps; MJPEG 1 ms).
   */
  arrival: number;
  /** When it was taken, where the camera says so (RTSP, after its first RTCP sender report). */
  capture?: Capture;
}

export interface DecodedAudio {
  /** Interleaved stereo s16le at 48 kHz: 4 bytes a sample. */
  data: Uint8Array;
  samples: number;
  /** Source clock of the first sample, 90 kHz ticks; gaps are not filled. */
  pts: number;
}

export interface DecoderEnd {
  error: ClearwayError;
  /** What ffmpeg complained of last. */
  problems: string[];
  /** What to open at once instead (UDP after a refused TCP, no audio after undecodable audio). */
  again?: SourceSpec;
}

export interface DecoderHandlers {
  /** A buffer of at least so many bytes, which the frame's receiver then owns; undefined drops the frame. */
  allocate(bytes: number): Uint8Array | undefined;
  frame(frame: DecodedFrame): void;
  /** A frame `allocate` had no buffer for. */
  dropped(): void;
  audio?(audio: DecodedAudio): void;
  packet?(packet: ArrivedPacket): void;
  /** Before the first frame, and again when the camera changes resolution. */
  opened(info: SourceInfo): void;
  /** The hardware decoder could not be opened, or failed on a picture: what ffmpeg says of it. */
  hardwareFailed?(why: string): void;
  /** Once, when the child is gone; not called after `stop`. */
  ended(end: DecoderEnd): void;
}

export interface DecoderOptions {
  /** Pictures with more lines are scaled down to so many. */
  height?: number | 'auto';
  /** Seconds from here to the first frame, after which the source counts as stalled (default 15). */
  connectTimeout?: number;
  ffmpegPath?: string;
  /** Software when absent. */
  hardware?: HardwareDecoder | undefined;
}

export interface DecoderProcess extends AsyncDisposable {
  /** Reads no more pictures until `resume`; the child waits when its pipe is full. */
  pause(): void;
  resume(): void;
  /** The next pictures have at most so many lines, within about a tenth of a second; none is lost. */
  setHeight(height: number): void;
  /** Ends the child and everything it started; resolves when it is gone. */
  stop(): Promise<void>;
}

/** Seconds a source has until its first frame when nothing else is asked for. */
const CONNECT_TIMEOUT = 15;

/** Log lines kept to explain an end. */
const KEPT_PROBLEMS = 40;

/** Packets whose frames have not come yet; more than any codec reorders. */
const KEPT_PACKETS = 64;

/** Containers without clocks, whose timestamps ffmpeg invents at 25 fps: time of arrival is what they have. */
const CLOCKLESS = /^(mpjpeg|mjpeg|jpeg_pipe|h264|hevc|m4v|mpegvideo|image2pipe)$/;

type FrameLine = Extract<LogEvent, { t: 'frame' }>;

/** Opens a source in an ffmpeg child of its own and hands over its frames, audio and packets as they come. */
export function spawnDecoder(
  spec: SourceSpec,
  options: DecoderOptions,
  handlers: DecoderHandlers,
): DecoderProcess {
  const path = options.ffmpegPath ?? ffmpegPath();
  const child = spawnFfmpeg(
    path,
    decoderArguments(spec, options.height ?? 'auto', path, options.hardware),
    4,
    // As variables, because not every protocol in ffmpeg hands the option on to what it opens.
    spec.proxy === undefined ? {} : { http_proxy: spec.proxy, no_proxy: undefined },
    'pipe',
  );
  const decoder = new Decoder(spec, handlers);
  if (options.hardware)
    decoder.onProblem = (text) => {
      if (!stopping && isHardwareTrouble(text)) handlers.hardwareFailed?.(text);
    };
  function readLog(line: string): void {
    decoder.log(line);
    if (options.hardware && !stopping && saysSoftware(line))
      handlers.hardwareFailed?.('ffmpeg decodes this source in software');
  }
  const [video, packets, audio, producer] = child.pipes;
  let stopping = false;
  let paused = false;
  let stalled: ClearwayError | undefined;
  /** Lines its filters are to be told, as they were started with others. */
  let lines: number | undefined;

  function tellHeight(): void {
    if (lines !== undefined) child.stdin!.write(heightCommand(lines));
  }
  // Where the camera changes its picture ffmpeg makes its filters anew, as they were at first.
  decoder.onFilters = tellHeight;

  let deadline = setTimeout(stall, (options.connectTimeout ?? CONNECT_TIMEOUT) * 1000);
  decoder.onFrame = watch;
  function watch(): void {
    clearTimeout(deadline);
    deadline = setTimeout(stall, spec.stallTimeout * 1000);
  }
  function stall(): void {
    if (paused) {
      watch();
      return;
    }
    stalled = new ClearwayError(
      'CLEARWAY_SOURCE_STALLED',
      decoder.frames > 0
        ? `${redact(spec.url)} sent no picture for ${spec.stallTimeout} s: look at the camera and the network`
        : `${redact(spec.url)} accepted the connection but sent no picture: look at the camera`,
      { retryable: true },
    );
    // A driver that hangs says nothing.
    if (options.hardware && decoder.frames === 0) handlers.hardwareFailed?.('no picture came out of it');
    void child.stop();
  }

  readLines(child.stderr, readLog);
  readLines(packets!, (line) => decoder.packetLine(line));
  video!.on('data', (chunk: Buffer) => decoder.video(chunk));
  audio!.on('data', (chunk: Buffer) => decoder.audio(chunk));
  producer!.on('data', (chunk: Buffer) => decoder.producerTimes(chunk));

  const ended = child.closed.then((exit) => {
    clearTimeout(deadline);
    if (stopping) return;
    const again = stalled ? undefined : alternative(decoder.problems, spec);
    handlers.ended({
      error: stalled ?? classifyFailure(decoder.problems, exit, spec, decoder.frames),
      problems: decoder.problems,
      ...(again ? { again } : {}),
    });
  });

  async function stop(): Promise<void> {
    stopping = true;
    decoder.silence();
    await child.stop();
    await ended;
  }
  return {
    pause() {
      paused = true;
      video!.pause();
    },
    resume() {
      paused = false;
      video!.resume();
    },
    setHeight(height) {
      lines = height;
      decoder.commanded = true;
      // Filters that are not there yet are told when they are.
      if (decoder.inputDescribed) tellHeight();
    },
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** Codecs whose pictures ffmpeg's parser puts together from what RTP carries. */
const PARSED = /^(h264|hevc)$/;

/** Puts the child's four outputs together again: pictures with their log lines and their packets. */
class Decoder {
  frames = 0;
  onFrame: () => void = () => {};
  onProblem: (text: string) => void = () => {};
  /** ffmpeg has made its filters, for the first time or anew. */
  onFilters: () => void = () => {};
  /** ... at least once: what comes in is known. */
  inputDescribed = false;
  /** Commands were written to its console. */
  commanded = false;
  readonly problems: string[] = [];

  private readonly spec: SourceSpec;
  private handlers: DecoderHandlers | undefined;
  private readonly pictures = new ByteQueue<FrameLine>((next) => this.allocate(next));
  private readonly sounds = new ByteQueue<Extract<LogEvent, { t: 'audio' }>>(
    (next) => new Uint8Array(next.samples * 4),
  );
  private readonly decoded: (FrameLine & { data: Uint8Array })[] = [];
  /** Packets by PTS, oldest first, until their frames come. */
  private readonly waiting = new Map<number, number>();
  /** Arrival of the newest packet until a frame claims it. */
  private newest: number | undefined;
  private firstArrival: number | undefined;
  private readonly producer = new ProducerTimeReader();
  private readonly captures = new CaptureClock();
  private secondsPerTick = 1 / CLOCK_RATE;
  private clockless = false;
  private mapped = false;
  private info: SourceInfo = { width: 0, height: 0, codec: 'unknown', fps: 0, hasAudio: false };

  constructor(spec: SourceSpec, handlers: DecoderHandlers) {
    this.spec = spec;
    this.handlers = handlers;
  }

  silence(): void {
    this.handlers = undefined;
  }

  log(line: string): void {
    for (const event of parseLogLine(line, this.commanded)) this.logged(event);
  }

  private logged(event: LogEvent): void {
    // What the source calls itself may look like anything. Sound may well come before the first picture has a size.
    if (!this.mapped && (event.t === 'frame' || event.t === 'audio')) return;
    switch (event.t) {
      case 'frame':
        this.pictures.announce(event, pictureBytes(event));
        this.takePictures();
        break;
      case 'audio':
        this.sounds.announce(event, event.samples * 4);
        this.takeSounds();
        break;
      case 'size':
        this.inputDescribed = true;
        this.info = { ...this.info, width: event.width, height: event.height };
        this.handlers?.opened(this.info);
        this.onFilters();
        break;
      case 'mapping':
        this.mapped = true;
        break;
      case 'format':
        this.clockless = CLOCKLESS.test(event.name);
        break;
      case 'video':
        if (this.info.codec === 'unknown') this.info = { ...this.info, codec: event.codec, fps: event.fps };
        break;
      case 'audioTrack':
        if (!this.inputDescribed) this.info = { ...this.info, hasAudio: this.spec.audio };
        break;
      case 'problem':
        this.onProblem(event.text);
        this.problems.push(event.text);
        if (this.problems.length > KEPT_PROBLEMS) this.problems.shift();
        break;
    }
  }

  packetLine(line: string): void {
    const arrival = now();
    const packet = parsePacketLine(line);
    if (!packet) {
      this.secondsPerTick = parseTimeBase(line) ?? this.secondsPerTick;
      return;
    }
    const pts =
      packet.pts === undefined ? undefined : Math.round(packet.pts * this.secondsPerTick * CLOCK_RATE);
    this.firstArrival ??= arrival;
    this.newest = arrival;
    if (pts !== undefined) {
      this.captures.packet(pts, packet.timed === true, PARSED.test(this.info.codec));
      this.waiting.set(pts, arrival);
      if (this.waiting.size > KEPT_PACKETS) this.waiting.delete(this.waiting.keys().next().value!);
    }
    this.handlers?.packet?.({ pts, size: packet.size, arrival });
  }

  video(chunk: Uint8Array): void {
    this.pictures.push(chunk);
    this.takePictures();
  }

  audio(chunk: Uint8Array): void {
    this.sounds.push(chunk);
    this.takeSounds();
  }

  producerTimes(chunk: Uint8Array): void {
    for (const time of this.producer.push(chunk)) this.captures.learn(time);
  }

  private allocate(next: FrameLine): Uint8Array | undefined {
    return this.handlers?.allocate(pictureBytes(next));
  }

  /** `packetsRead`: every packet line that was written before these pictures has been read. */
  private takePictures(packetsRead = false): void {
    for (const piece of this.pictures.take()) {
      this.frames += 1;
      this.onFrame();
      if (piece.data) this.decoded.push({ ...piece.item, data: piece.data });
      else this.handlers?.dropped();
    }
    while (this.decoded[0] && (packetsRead || this.waiting.has(this.decoded[0].pts ?? Number.NaN))) {
      const { data, width, height, pts } = this.decoded.shift()!;
      const arrival = this.arrivalOf(pts);
      this.handlers?.frame({
        data,
        width,
        height,
        pts: this.clockless || pts === undefined ? this.arrivalClock(arrival) : pts,
        arrival,
        capture: this.captures.captureOf(pts, arrival, Date.now() - now()),
      });
    }
    // The picture's pipe may have been read before that of its packet line; by the end of this turn both are.
    if (this.decoded.length > 0) setImmediate(() => this.takePictures(true));
  }

  private takeSounds(): void {
    for (const { item, data } of this.sounds.take()) {
      if (data && item.pts !== undefined) {
        this.handlers?.audio?.({ data, samples: item.samples, pts: item.pts });
      }
    }
  }

  /**
   * When the frame's packet came. ffmpeg pushes the packets' timestamps forward after a clock that jumped back, but
   * not the frames': those take the newest packet's arrival, which is theirs unless pictures are reordered.
   */
  private arrivalOf(pts: number | undefined): number {
    const own = pts === undefined ? undefined : this.waiting.get(pts);
    if (own !== undefined) this.waiting.delete(pts!);
    const arrival = own ?? this.newest ?? now();
    if (arrival === this.newest) this.newest = undefined;
    return arrival;
  }

  private arrivalClock(arrival: number): number {
    return Math.round(((arrival - (this.firstArrival ?? arrival)) / 1000) * CLOCK_RATE);
  }
}

function pictureBytes({ width, height }: { width: number; height: number }): number {
  return (width * height * 3) / 2;
}
