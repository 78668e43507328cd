import {
  AV_CODEC_ID_H264,
  AV_LOG_ERROR,
  AV_LOG_VERBOSE,
  AV_PROFILE_H264_BASELINE,
  AVERROR_EAGAIN,
} from 'node-av/constants';
import { Codec, CodecContext, FFmpegError, Frame, Log, Packet } from 'node-av/lib';
import { errorInfo } from '../contracts/errors.ts';
import type { HardwareEncoderName } from '../contracts/restorer.ts';
import { H264Encoder } from './encoder.ts';
import { openHardwareEncoder } from './encoder-kinds.ts';

/**
 * A process of its own (a broken driver may hang or take it down): encodes a clip as live streams are encoded, by the
 * hardware encoder and on the GPU that its arguments name. Ends with 0 when everything is as they need it; else with 1,
 * and says why: on stdout what is wrong with what it encodes, on stderr what FFmpeg says.
 */

/** Not a multiple of 16 lines, so that the stream has to crop. */
const SIZE = { width: 640, height: 360 };
const BOUND = 8_000_000;
const LOW_BOUND = 400_000;
/** Pictures under each bound. */
const PICTURES = 12;
/** The picture that is asked to be a keyframe, beside the first. */
const ASKED = 5;
/** Mean difference a sample of one plane, in 8-bit steps: without its noise a picture would be 8 from what it was. */
const CLOSE = 10;

/** What is wrong, as a sentence. */
class Unfit extends Error {}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Unfit(otherwise);
}

async function run(name: HardwareEncoderName, device: number): Promise<void> {
  // Why there is no GPU FFmpeg says as a detail.
  Log.setLevel(AV_LOG_VERBOSE);
  const hardware = openHardwareEncoder(name, device);
  Log.setLevel(AV_LOG_ERROR);
  const encoder = await H264Encoder.open({ ...SIZE, fps: 25, bitrate: BOUND, threads: 1, hardware });
  using decoder = new OneDecoder();
  const sizes: number[] = [];
  for (let at = 0; at < 2 * PICTURES; at++) {
    if (at === PICTURES) encoder.bound(LOW_BOUND);
    const picture = scene(at);
    const { data, pts, key } = await encoder.encode(picture, at * 3600, at === ASKED);
    check(pts === at * 3600, 'gives access units of other pictures than went in');
    // Some begin anew when their bound changes.
    if (at !== PICTURES)
      check(key === (at === 0 || at === ASKED), 'makes other keyframes than it is asked for');
    const types = nalTypes(data);
    const wanted = key ? [7, 8, 5] : [1];
    check(
      wanted.every((type, i) => types[i] === type) && types.every((type) => wanted.includes(type)),
      `makes NAL units ${types.join(', ')} of a ${key ? 'keyframe' : 'picture'}`,
    );
    const decoded = decoder.decode(data);
    check(decoded !== undefined, 'makes players wait for later pictures');
    // What a low bound leaves of a picture is its own affair.
    if (at < PICTURES) check(difference(picture, decoded!) <= CLOSE, 'encodes another picture than went in');
    sizes.push(data.length);
  }
  check(decoder.profile === AV_PROFILE_H264_BASELINE, `encodes profile ${decoder.profile}, not baseline`);
  const settled = (from: number) => sizes.slice(from + PICTURES / 2, from + PICTURES);
  const bits = (of: number[]) => of.reduce((sum, size) => sum + size, 0);
  check(bits(settled(PICTURES)) < bits(settled(0)) / 2, 'keeps to no bitrate');
}

/** Edges that move, over noise that costs bits; each chroma plane its own. */
function scene(at: number): Uint8Array {
  const { width, height } = SIZE;
  const luma = width * height;
  const picture = new Uint8Array(luma * 1.5).fill(160);
  picture.fill(90, luma, luma * 1.25);
  for (let i = 0; i < luma; i++) {
    const edge = (((i % width) + 3 * at) >> 4) & 1;
    picture[i] = 70 + 60 * edge + (Math.imul(i + at * 7919, 2654435761) >>> 27);
  }
  return picture;
}

/** Types of the NAL units of an access unit, but for what may stand between them: SEI and delimiters. */
function nalTypes(data: Uint8Array): number[] {
  const types: number[] = [];
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length);
  for (let at = bytes.indexOf(START_CODE); at >= 0; at = bytes.indexOf(START_CODE, at + 3))
    types.push(bytes[at + 3]! & 0x1f);
  return types.filter((type) => type !== 6 && type !== 9);
}
const START_CODE = Buffer.from([0, 0, 1]);

/** The worst plane's mean difference. */
function difference(a: Uint8Array, b: Uint8Array): number {
  const luma = SIZE.width * SIZE.height;
  const planes = [0, luma, luma * 1.25, luma * 1.5];
  return Math.max(
    ...planes.slice(1).map((end, plane) => {
      let sum = 0;
      for (let i = planes[plane]!; i < end; i++) sum += Math.abs(a[i]! - b[i]!);
      return sum / (end - planes[plane]!);
    }),
  );
}

/** FFmpeg's H.264 decoder, in software. */
class OneDecoder implements Disposable {
  private readonly context = new CodecContext();
  private readonly packet = new Packet();
  private readonly frame = new Frame();

  constructor() {
    const codec = Codec.findDecoder(AV_CODEC_ID_H264)!;
    this.context.allocContext3(codec);
    this.context.threadCount = 1;
    FFmpegError.throwIfError(this.context.open2Sync(codec, null), 'open the decoder');
    this.packet.alloc();
    this.frame.alloc();
  }

  /** profile_idc. */
  get profile(): number {
    return this.context.profile & 0xff;
  }

  /** @returns the picture, I420; undefined when the stream says that it may have to be shown later */
  decode(unit: Uint8Array): Uint8Array | undefined {
    this.packet.data = Buffer.from(unit);
    FFmpegError.throwIfError(this.context.sendPacketSync(this.packet), 'decode');
    const result = this.context.receiveFrameSync(this.frame);
    if (result === AVERROR_EAGAIN) return undefined;
    FFmpegError.throwIfError(result, 'decode');
    return this.frame.toBuffer();
  }

  [Symbol.dispose](): void {
    this.frame.free();
    this.packet.free();
    this.context.freeContext();
  }
}

const [name, device] = process.argv.slice(2);
try {
  await run(name as HardwareEncoderName, Number(device));
} catch (error) {
  (error instanceof Unfit ? process.stdout : process.stderr).write(`${errorInfo(error).message}\n`);
  process.exit(1);
}
process.exit(0);
