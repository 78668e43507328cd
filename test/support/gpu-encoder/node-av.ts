import { readFileSync } from 'node:fs';
import {
  AV_CODEC_FLAG_GLOBAL_HEADER,
  AV_HWDEVICE_TYPE_CUDA,
  AV_PICTURE_TYPE_NONE,
  AV_PIX_FMT_NV12,
  AV_PIX_FMT_VAAPI,
  AVERROR_EIO,
  AVERROR_ENODEV,
  AVERROR_ENOMEM,
  type AVHWDeviceType,
  type AVPixelFormat,
} from 'node-av/constants';
import * as real from 'node-av/lib';
import { type EncoderState, STATE_VARIABLE } from './gpu-encoder.ts';

/** Stands for node-av: a GPU whose encoder is x264. What is not replaced is the real thing. */
export * from 'node-av/lib';

function gpu(): { name: string; state: EncoderState } {
  const [name = '', state] = readFileSync(process.env[STATE_VARIABLE]!, 'utf8').split(',');
  return { name, state: state as EncoderState };
}

export class HardwareDeviceContext {
  create(type: AVHWDeviceType): number {
    const { name, state } = gpu();
    if (name !== (type === AV_HWDEVICE_TYPE_CUDA ? 'nvenc' : 'vaapi')) return AVERROR_ENODEV;
    if (state === 'deadly later' && process.argv[1]!.endsWith('/restorer-process.ts'))
      process.kill(process.pid, 'SIGSEGV');
    // As a driver that waits for its device.
    if (state === 'hangs') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    return 0;
  }
}

export class HardwareFramesContext {
  width = 0;
  height = 0;
  alloc(): void {}
  init(): number {
    return 0;
  }
  getBuffer(frame: real.Frame): number {
    frame.format = AV_PIX_FMT_NV12;
    frame.width = this.width;
    frame.height = this.height;
    return frame.allocBuffer();
  }
  async transferData(to: real.Frame, from: real.Frame): Promise<number> {
    return to.fromBuffer(from.toBuffer());
  }
  free(): void {}
}

export class CodecContext extends real.CodecContext {
  private gpu = false;

  override allocContext3(codec: real.Codec): void {
    this.gpu = /_(nvenc|vaapi)$/.test(codec.name ?? '');
    super.allocContext3(this.gpu ? real.Codec.findEncoderByName('libx264' as never) : codec);
  }

  override set pixelFormat(format: AVPixelFormat) {
    super.pixelFormat = format === AV_PIX_FMT_VAAPI ? AV_PIX_FMT_NV12 : format;
  }

  override set rcMaxRate(bps: bigint) {
    if (!this.gpu || gpu().state !== 'unbounded') super.rcMaxRate = bps;
  }

  override set bitRate(bps: bigint) {
    if (!this.gpu) super.bitRate = bps;
  }

  override set hwDeviceCtx(_: real.HardwareDeviceContext | null) {}
  override set hwFramesCtx(_: real.HardwareFramesContext | null) {}

  override setOption(name: string, value: unknown): number {
    return this.gpu ? 0 : super.setOption(name, value as string);
  }

  override async open2(codec: real.Codec): Promise<number> {
    if (!this.gpu) return super.open2(codec, null);
    const { state } = gpu();
    if (state === 'full') return AVERROR_ENOMEM;
    if (state === 'no headers') this.setFlags(AV_CODEC_FLAG_GLOBAL_HEADER);
    const options = {
      preset: 'superfast',
      ...(state === 'delays' ? {} : { tune: 'zerolatency' }),
      profile: state === 'main profile' ? 'main' : 'baseline',
      crf: '21',
      'forced-idr': '1',
    };
    for (const [name, value] of Object.entries(options)) super.setOption(name, value);
    return super.open2(real.Codec.findEncoderByName('libx264' as never), null);
  }

  override async sendFrame(frame: real.Frame): Promise<number> {
    const { state } = gpu();
    if (this.gpu && state === 'deadly') process.kill(process.pid, 'SIGSEGV');
    if (this.gpu && state === 'stuck') await new Promise(() => {});
    if (this.gpu && state === 'fails') return AVERROR_EIO;
    if (this.gpu && state === 'no keyframes') frame.pictType = AV_PICTURE_TYPE_NONE;
    if (this.gpu && state === 'garbles')
      frame.fromBuffer(frame.toBuffer().map((sample) => 255 - sample) as Buffer);
    return super.sendFrame(frame);
  }
}
