import { AV_HWDEVICE_TYPE_CUDA, AV_HWDEVICE_TYPE_VAAPI } from 'node-av/constants';
import { type CodecContext, FFmpegError, HardwareDeviceContext } from 'node-av/lib';
import type { HardwareEncoderName } from '../contracts/restorer.ts';

/** How one of FFmpeg's H.264 encoders is set up: constrained baseline, one picture in, one access unit out. */
export interface EncoderKind {
  /** FFmpeg's name of it. */
  codec: string;
  /** Its own options, as FFmpeg names them. */
  options: Readonly<Record<string, string>>;
  /** Bounds the bitrate; bits per second. */
  bound(context: CodecContext, bps: number): void;
  /** A bound changes only when it is opened anew. */
  reopens?: boolean;
  /** It takes pictures from the GPU's memory only. */
  surfaces?: boolean;
}

function bound(context: CodecContext, bps: number): void {
  context.rcMaxRate = BigInt(bps);
  // Half a second of buffer: a keyframe may burst, latency may not.
  context.rcBufferSize = Math.round(bps / 2);
}

export const X264: EncoderKind = {
  codec: 'libx264',
  options: {
    preset: 'superfast',
    tune: 'zerolatency',
    profile: 'baseline',
    // Quality aimed at while the bitrate bound leaves room: restored pictures are clean and cheap.
    crf: '21',
    'forced-idr': '1',
    'x264-params': 'repeat-headers=1',
  },
  bound,
};

export const HARDWARE: Record<HardwareEncoderName, EncoderKind> = {
  /** NVIDIA. A new bound is taken over with the next picture, which FFmpeg makes an IDR (nvenc.c, reconfig_encoder). */
  nvenc: {
    codec: 'h264_nvenc',
    options: {
      preset: 'p4',
      tune: 'll',
      profile: 'baseline',
      rc: 'vbr',
      cq: '23',
      delay: '0',
      zerolatency: '1',
      'forced-idr': '1',
    },
    bound,
  },
  /** Intel and AMD. Has no quality to aim at that every driver knows, so it spends what the bound allows. */
  vaapi: {
    codec: 'h264_vaapi',
    options: { profile: 'constrained_baseline', rc_mode: 'VBR', async_depth: '1' },
    bound(context, bps) {
      bound(context, bps);
      context.bitRate = BigInt(bps);
    },
    reopens: true,
    surfaces: true,
  },
};

/** A GPU that encodes, opened once for all streams of a process. */
export interface HardwareEncoder {
  name: HardwareEncoderName;
  gpu: HardwareDeviceContext;
}

/** @param device number of the GPU, for NVENC; VAAPI takes the first. Throws FFmpeg's error. */
export function openHardwareEncoder(name: HardwareEncoderName, device: number): HardwareEncoder {
  const gpu = new HardwareDeviceContext();
  const result =
    name === 'nvenc' ? gpu.create(AV_HWDEVICE_TYPE_CUDA, String(device)) : gpu.create(AV_HWDEVICE_TYPE_VAAPI);
  FFmpegError.throwIfError(result, `open the GPU for ${name}`);
  return { name, gpu };
}
