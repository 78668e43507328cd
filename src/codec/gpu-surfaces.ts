import { AV_PIX_FMT_NV12, AV_PIX_FMT_VAAPI, AV_PIX_FMT_YUV420P } from 'node-av/constants';
import {
  FFmpegError,
  Frame,
  type HardwareDeviceContext,
  HardwareFramesContext,
  SoftwareScaleContext,
} from 'node-av/lib';

/** Carries I420 pictures of one size into VAAPI surfaces, as NV12: the one layout that every driver encodes. */
export class GpuSurfaces {
  readonly frames = new HardwareFramesContext();
  private readonly converter = new SoftwareScaleContext();
  private readonly converted = new Frame();
  private readonly surface = new Frame();

  /** Throws FFmpeg's error, for a size that the GPU does not take for example. */
  constructor(gpu: HardwareDeviceContext, width: number, height: number) {
    this.frames.alloc(gpu);
    this.frames.format = AV_PIX_FMT_VAAPI;
    this.frames.swFormat = AV_PIX_FMT_NV12;
    this.frames.width = width;
    this.frames.height = height;
    FFmpegError.throwIfError(this.frames.init(), 'surfaces on the GPU');
    this.converter.getContext(width, height, AV_PIX_FMT_YUV420P, width, height, AV_PIX_FMT_NV12);
    this.converted.alloc();
    this.converted.format = AV_PIX_FMT_NV12;
    this.converted.width = width;
    this.converted.height = height;
    FFmpegError.throwIfError(this.converted.allocBuffer(), 'allocate picture');
    this.surface.alloc();
  }

  /** @returns the picture on the GPU, until the next upload */
  async upload(picture: Frame): Promise<Frame> {
    FFmpegError.throwIfError(await this.converter.scaleFrame(this.converted, picture), 'convert picture');
    this.surface.unref();
    FFmpegError.throwIfError(this.frames.getBuffer(this.surface), 'surface on the GPU');
    FFmpegError.throwIfError(await this.frames.transferData(this.surface, this.converted), 'upload picture');
    return this.surface;
  }

  free(): void {
    this.surface.free();
    this.converted.free();
    this.converter.freeContext();
    this.frames.free();
  }
}
