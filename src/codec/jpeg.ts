import { AV_PIX_FMT_YUV420P, AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG } from 'node-av/constants';
import { CodecContext, FFmpegError, Frame, Packet, Rational, SoftwareScaleContext } from 'node-av/lib';
import { encoderNamed } from './libav.ts';

/** FFmpeg's quantiser scale for MJPEG, 2 (best) to 31. */
const QUALITY = 3;
const FF_QP2LAMBDA = 118;

/** One JPEG (full range, 4:2:0) of a limited-range I420 picture. */
export async function encodeJpeg(picture: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const codec = encoderNamed('mjpeg');
  using source = pictureFrame(width, height, AV_PIX_FMT_YUV420P);
  using full = pictureFrame(width, height, AV_PIX_FMT_YUVJ420P);
  using scaler = new SoftwareScaleContext();
  using context = new CodecContext();
  using packet = new Packet();
  FFmpegError.throwIfError(
    source.fromBuffer(Buffer.from(picture.buffer, picture.byteOffset, picture.byteLength)),
    'copy picture',
  );
  scaler.getContext(width, height, AV_PIX_FMT_YUV420P, width, height, AV_PIX_FMT_YUVJ420P);
  FFmpegError.throwIfError(await scaler.scaleFrame(full, source), 'convert to full range');
  context.allocContext3(codec);
  context.width = width;
  context.height = height;
  context.pixelFormat = AV_PIX_FMT_YUVJ420P;
  context.colorRange = AVCOL_RANGE_JPEG;
  context.timeBase = new Rational(1, 25);
  context.globalQuality = QUALITY * FF_QP2LAMBDA;
  FFmpegError.throwIfError(context.setOption('flags', '+qscale'), 'mjpeg option flags');
  FFmpegError.throwIfError(context.open2Sync(codec, null), 'open mjpeg');
  packet.alloc();
  full.pts = 0n;
  full.quality = QUALITY * FF_QP2LAMBDA;
  FFmpegError.throwIfError(await context.sendFrame(full), 'encode JPEG');
  FFmpegError.throwIfError(await context.receivePacket(packet), 'encode JPEG');
  return new Uint8Array(packet.data!);
}

function pictureFrame(
  width: number,
  height: number,
  format: typeof AV_PIX_FMT_YUV420P | typeof AV_PIX_FMT_YUVJ420P,
): Frame {
  const frame = new Frame();
  frame.alloc();
  frame.format = format;
  frame.width = width;
  frame.height = height;
  FFmpegError.throwIfError(frame.allocBuffer(), 'allocate picture');
  return frame;
}
