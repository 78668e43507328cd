import { AV_PICTURE_TYPE_I, AV_PICTURE_TYPE_NONE, AV_PIX_FMT_YUV420P } from 'node-av/constants';
import { CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av/lib';
import { ClearwayError } from '../contracts/errors.ts';
import { CLOCK_RATE } from '../contracts/media.ts';
import { encoderNamed } from './libav.ts';

export interface EncoderOptions {
  width: number;
  height: number;
  /** Frames per second; only rate control reads it. */
  fps: number;
  /** Bits per second not to exceed. */
  bitrate: number;
  threads: number;
}

export interface EncodedPicture {
  /** Annex B; SPS and PPS precede every IDR picture. */
  data: Uint8Array;
  pts: number;
  key: boolean;
}

/** The longest a viewer who asks for nothing waits for a keyframe, in frames. */
const GOP = 250;
/** Set one by one: node-av 6.1.1 frees the Dictionary given to `open2` twice. */
const X264_OPTIONS = {
  preset: 'superfast',
  tune: 'zerolatency',
  profile: 'baseline',
  // Quality aimed at while the bitrate bound leaves room: restored pictures are clean and cheap.
  crf: '21',
  'forced-idr': '1',
  'x264-params': 'repeat-headers=1',
};

/**
 * H.264 constrained baseline by x264, in process so that any picture can be made a keyframe and the bitrate bound
 * can change between two pictures. No B-frames, no lookahead: one picture in, one access unit out.
 * Calls must not overlap.
 */
export class H264Encoder {
  readonly width: number;
  readonly height: number;
  private readonly context = new CodecContext();
  private readonly frame = new Frame();
  private readonly packet = new Packet();
  private open = true;

  constructor(options: EncoderOptions) {
    const codec = encoderNamed('libx264');
    this.width = options.width;
    this.height = options.height;
    this.context.allocContext3(codec);
    this.context.width = options.width;
    this.context.height = options.height;
    this.context.pixelFormat = AV_PIX_FMT_YUV420P;
    this.context.timeBase = new Rational(1, CLOCK_RATE);
    this.context.framerate = new Rational(Math.round(options.fps * 1000), 1000);
    this.context.gopSize = GOP;
    this.context.maxBFrames = 0;
    this.context.threadCount = options.threads;
    this.bound(options.bitrate);
    for (const [name, value] of Object.entries(X264_OPTIONS)) {
      FFmpegError.throwIfError(this.context.setOption(name, value), `x264 option ${name}`);
    }
    FFmpegError.throwIfError(this.context.open2Sync(codec, null), 'open libx264');
    this.packet.alloc();
    this.frame.alloc();
    this.frame.format = AV_PIX_FMT_YUV420P;
    this.frame.width = options.width;
    this.frame.height = options.height;
    FFmpegError.throwIfError(this.frame.allocBuffer(), 'allocate picture');
  }

  /** Changes the bitrate bound from the next picture on. */
  bound(bps: number): void {
    this.context.rcMaxRate = BigInt(bps);
    // Half a second of buffer: a keyframe may burst, latency may not.
    this.context.rcBufferSize = Math.round(bps / 2);
  }

  /** @param picture I420, width * height * 3 / 2 bytes; free to reuse when the promise resolves */
  async encode(picture: Uint8Array, pts: number, key: boolean): Promise<EncodedPicture> {
    if (!this.open)
      throw new ClearwayError('CLEARWAY_ENCODER_FAILED', 'The encoder is closed.', { retryable: true });
    FFmpegError.throwIfError(this.frame.makeWritable(), 'picture buffer');
    FFmpegError.throwIfError(
      this.frame.fromBuffer(Buffer.from(picture.buffer, picture.byteOffset, picture.byteLength)),
      'copy picture',
    );
    this.frame.pts = BigInt(pts);
    this.frame.pictType = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    FFmpegError.throwIfError(await this.context.sendFrame(this.frame), 'encode');
    FFmpegError.throwIfError(await this.context.receivePacket(this.packet), 'encode');
    const encoded = {
      data: new Uint8Array(this.packet.data!),
      pts: Number(this.packet.pts),
      key: this.packet.isKeyframe,
    };
    this.packet.unref();
    return encoded;
  }

  close(): void {
    if (!this.open) return;
    this.open = false;
    this.packet.free();
    this.frame.free();
    this.context.freeContext();
  }
}
