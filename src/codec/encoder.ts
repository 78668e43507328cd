import {
  AV_PICTURE_TYPE_I,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_VAAPI,
  AV_PIX_FMT_YUV420P,
} from 'node-av/constants';
import { CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av/lib';
import { ClearwayError } from '../contracts/errors.ts';
import { CLOCK_RATE } from '../contracts/media.ts';
import { type EncoderKind, HARDWARE, type HardwareEncoder, X264 } from './encoder-kinds.ts';
import { GpuSurfaces } from './gpu-surfaces.ts';
import { encoderNamed } from './libav.ts';

export interface EncoderOptions {
  width: number;
  height: number;
  /** Frames per second; only rate control reads it. */
  fps: number;
  /** Bits per second not to exceed. */
  bitrate: number;
  /** CPU threads. */
  threads: number;
  /** The GPU that encodes; x264 when absent. */
  hardware?: HardwareEncoder | undefined;
}

export interface EncodedPicture {
  /** Annex B; SPS and PPS precede every IDR picture. */
  data: Uint8Array;
  pts: number;
  key: boolean;
}

/** The longest a viewer who asks for nothing waits for a keyframe, in frames. */
const GOP = 250;
/** A GPU's encoder answers a new bound with a keyframe: one that grows is taken over in steps of this factor. */
const GROWTH = 1.25;

/**
 * H.264 constrained baseline by x264 or a GPU, in process so that any picture can be made a keyframe and the bitrate
 * bound can change between two pictures. No B-frames, no lookahead: one picture in, one access unit out.
 * Calls must not overlap.
 */
export class H264Encoder {
  readonly width: number;
  readonly height: number;
  private readonly options: EncoderOptions;
  private readonly kind: EncoderKind;
  private readonly frame = new Frame();
  private readonly packet = new Packet();
  private readonly surfaces: GpuSurfaces | undefined;
  private context = new CodecContext();
  private bitrate: number;
  /** The bound has changed, and this kind of encoder has to be opened anew for that. */
  private stale = false;
  private closed = false;

  private constructor(options: EncoderOptions) {
    const { width, height, hardware } = options;
    this.options = options;
    this.width = width;
    this.height = height;
    this.bitrate = options.bitrate;
    this.kind = hardware ? HARDWARE[hardware.name] : X264;
    this.surfaces = hardware && this.kind.surfaces ? new GpuSurfaces(hardware.gpu, width, height) : undefined;
    this.packet.alloc();
    this.frame.alloc();
    this.frame.format = AV_PIX_FMT_YUV420P;
    this.frame.width = width;
    this.frame.height = height;
    FFmpegError.throwIfError(this.frame.allocBuffer(), 'allocate picture');
  }

  /** Throws FFmpeg's error: a GPU may have no more sessions to give. */
  static async open(options: EncoderOptions): Promise<H264Encoder> {
    const encoder = new H264Encoder(options);
    try {
      await encoder.begin();
      return encoder;
    } catch (error) {
      encoder.close();
      throw error;
    }
  }

  /** Changes the bitrate bound from the next picture on. */
  bound(bps: number): void {
    if (this.options.hardware && bps >= this.bitrate && bps < this.bitrate * GROWTH) return;
    this.bitrate = bps;
    if (this.kind.reopens) this.stale = true;
    else this.kind.bound(this.context, bps);
  }

  /** @param picture I420, width * height * 3 / 2 bytes; free to reuse when the promise resolves */
  async encode(picture: Uint8Array, pts: number, key: boolean): Promise<EncodedPicture> {
    if (this.closed)
      throw new ClearwayError('CLEARWAY_ENCODER_FAILED', 'The encoder is closed.', { retryable: true });
    if (this.stale) await this.begin();
    FFmpegError.throwIfError(this.frame.makeWritable(), 'picture buffer');
    FFmpegError.throwIfError(
      this.frame.fromBuffer(Buffer.from(picture.buffer, picture.byteOffset, picture.byteLength)),
      'copy picture',
    );
    const frame = this.surfaces ? await this.surfaces.upload(this.frame) : this.frame;
    frame.pts = BigInt(pts);
    frame.pictType = key ? AV_PICTURE_TYPE_I : AV_PICTURE_TYPE_NONE;
    FFmpegError.throwIfError(await this.context.sendFrame(frame), 'encode');
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
    if (this.closed) return;
    this.closed = true;
    this.packet.free();
    this.frame.free();
    this.context.freeContext();
    this.surfaces?.free();
  }

  /** Opens FFmpeg's encoder, in place of the one that is open. */
  private async begin(): Promise<void> {
    const { options, kind, surfaces } = this;
    const codec = encoderNamed(kind.codec);
    this.context.freeContext();
    const context = new CodecContext();
    this.context = context;
    context.allocContext3(codec);
    context.width = options.width;
    context.height = options.height;
    context.pixelFormat = surfaces ? AV_PIX_FMT_VAAPI : AV_PIX_FMT_YUV420P;
    context.timeBase = new Rational(1, CLOCK_RATE);
    context.framerate = new Rational(Math.round(options.fps * 1000), 1000);
    context.gopSize = GOP;
    context.maxBFrames = 0;
    context.threadCount = options.threads;
    if (surfaces) context.hwFramesCtx = surfaces.frames;
    else if (options.hardware) context.hwDeviceCtx = options.hardware.gpu;
    kind.bound(context, this.bitrate);
    // One by one: node-av 6.1.1 frees the Dictionary given to `open2` twice.
    for (const [name, value] of Object.entries(kind.options))
      FFmpegError.throwIfError(context.setOption(name, value), `${kind.codec} option ${name}`);
    FFmpegError.throwIfError(await context.open2(codec, null), `open ${kind.codec}`);
    // NVENC forgets the buffer when it is opened with a quality to aim at.
    kind.bound(context, this.bitrate);
    this.stale = false;
  }
}
