import {
  AV_CHANNEL_LAYOUT_STEREO,
  AV_CODEC_ID_AAC,
  AV_CODEC_ID_H264,
  AV_LOG_QUIET,
  AVMEDIA_TYPE_AUDIO,
  AVMEDIA_TYPE_VIDEO,
} from 'node-av/constants';
import {
  Dictionary,
  FFmpegError,
  FormatContext,
  IOContext,
  Log,
  Packet,
  Rational,
  type Stream,
} from 'node-av/lib';
import { AAC_CONFIG, CLOCK_RATE } from '../../contracts/media.ts';

// Failures come back as return codes; libavformat's own lines on stderr would not be JSON.
Log.setLevel(AV_LOG_QUIET);

const AUDIO_RATE = 48_000;

/**
 * `frag_custom`: a fragment ends when we say so; `frag_discont` without edit list and timestamp shift: tfdt is the
 * output clock itself, so that restarted muxers and other renditions share one media timeline.
 */
const OPTIONS = {
  movflags: 'frag_custom+empty_moov+default_base_moof+frag_discont+skip_trailer',
  use_editlist: '0',
  avoid_negative_ts: 'disabled',
};

export interface Fmp4Options {
  width: number;
  height: number;
  /** SPS and PPS, Annex B. */
  parameterSets: Uint8Array;
  /** Whether there is an AAC track (`AAC_CONFIG`) beside the picture. */
  audio: boolean;
}

/** One coded picture or AAC frame; times in 90 kHz ticks. Video data is Annex B without parameter sets. */
export interface Sample {
  data: Uint8Array;
  pts: number;
  duration: number;
  key: boolean;
}

function codecString(stream: Stream): string {
  const codec = stream.codecpar.getCodecString();
  if (codec === null) throw new Error('The parameter sets name no profile and level.');
  return codec;
}

/**
 * Fragmented MP4 for HLS: one initialisation segment, then one `moof` + `mdat` for each part, cut exactly where the
 * caller wants. It is libavformat's own mp4 muxer, in process: it only ever sees access units we encoded ourselves.
 * mediabunny, the other muxer in the tree, ends fragments at keyframes only (isobmff-muxer.ts), so it cannot make the
 * parts of low-latency HLS, of which most hold no keyframe.
 */
export class Fmp4Muxer {
  readonly init: Buffer;
  /** RFC 6381, for the CODECS attribute. */
  readonly codecs: string;
  readonly #format = new FormatContext();
  readonly #io = new IOContext();
  readonly #video: Stream;
  readonly #audio: Stream | undefined;
  #output: Buffer[] = [];

  /** Throws an FFmpegError when the parameter sets cannot be described. */
  constructor(options: Fmp4Options) {
    try {
      FFmpegError.throwIfError(this.#format.allocOutputContext2(null, 'mp4', null), 'mp4 muxer');
      // The native buffer is used again after the call, so each piece is copied.
      const write = (piece: Buffer) => this.#output.push(Buffer.from(piece)) && piece.length;
      this.#io.allocContextWithCallbacks(65_536, 1, null, write, null);
      this.#format.pb = this.#io;
      this.#video = this.#addVideo(options);
      this.#audio = options.audio ? this.#addAudio() : undefined;
      this.codecs = [this.#video, this.#audio]
        .flatMap((stream) => (stream ? codecString(stream) : []))
        .join(',');
      using dictionary = Dictionary.fromObject(OPTIONS);
      FFmpegError.throwIfError(this.#format.writeHeaderSync(dictionary), 'mp4 header');
      this.init = this.#take();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  video(sample: Sample): void {
    this.#write(this.#video, sample, (ticks) => ticks);
  }

  /** Ignored when there is no audio track. */
  audio(sample: Sample): void {
    // 8/15 rather than 48000/90000: Unix time in ticks times 48000 is past 2^53.
    if (this.#audio !== undefined) this.#write(this.#audio, sample, (ticks) => Math.round((ticks * 8) / 15));
  }

  /** Ends the fragment: everything written since the last call, of both tracks; empty when nothing was. */
  flush(): Buffer {
    FFmpegError.throwIfError(this.#format.writeFrameSync(null), 'mp4 fragment');
    return this.#take();
  }

  /** Frees the native muxer; nothing may be called afterwards. */
  close(): void {
    this.#format.pb = null;
    this.#format.freeContext();
    this.#io.freeContext();
    this.#output = [];
  }

  #addVideo({ width, height, parameterSets }: Fmp4Options): Stream {
    const stream = this.#format.newStream();
    stream.timeBase = new Rational(1, CLOCK_RATE);
    const parameters = stream.codecpar;
    parameters.codecType = AVMEDIA_TYPE_VIDEO;
    parameters.codecId = AV_CODEC_ID_H264;
    parameters.width = width;
    parameters.height = height;
    parameters.extradata = Buffer.from(parameterSets);
    FFmpegError.throwIfError(parameters.parseExtradata(), 'H.264 parameter sets');
    return stream;
  }

  #addAudio(): Stream {
    const stream = this.#format.newStream();
    stream.timeBase = new Rational(1, AUDIO_RATE);
    const parameters = stream.codecpar;
    parameters.codecType = AVMEDIA_TYPE_AUDIO;
    parameters.codecId = AV_CODEC_ID_AAC;
    parameters.sampleRate = AUDIO_RATE;
    parameters.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
    parameters.frameSize = 1024;
    parameters.extradata = Buffer.from(AAC_CONFIG);
    return stream;
  }

  #write(stream: Stream, sample: Sample, scale: (ticks: number) => number): void {
    using packet = new Packet();
    packet.alloc();
    packet.data = Buffer.from(sample.data.buffer, sample.data.byteOffset, sample.data.byteLength);
    packet.streamIndex = stream.index;
    packet.timeBase = stream.timeBase;
    packet.pts = BigInt(scale(sample.pts));
    packet.dts = packet.pts;
    packet.duration = BigInt(scale(sample.duration));
    packet.isKeyframe = sample.key;
    FFmpegError.throwIfError(this.#format.writeFrameSync(packet), 'mp4 sample');
  }

  #take(): Buffer {
    this.#io.flushSync();
    const output = Buffer.concat(this.#output);
    this.#output = [];
    return output;
  }
}
