import { AV_CHANNEL_LAYOUT_STEREO, AV_SAMPLE_FMT_FLTP, AV_SAMPLE_FMT_S16 } from 'node-av/constants';
import { CodecContext, FFmpegError, Frame, Packet, Rational } from 'node-av/lib';
import { type AudioCodec, type AudioPacket, CLOCK_RATE } from '../contracts/media.ts';
import { encoderNamed } from './libav.ts';

const SAMPLE_RATE = 48_000;
const TICKS_PER_SAMPLE = CLOCK_RATE / SAMPLE_RATE;
/** Input further than this from where it should be starts a new run of timestamps, ticks (100 ms). */
const GAP = CLOCK_RATE / 10;
/**
 * The clock also moves by less, as it follows the camera's. Cheap cameras' timestamps jitter, so the mean counts: when
 * it is this far off (20 ms, of the 40 that lips allow), the run is moved by so much.
 */
const SKEW = CLOCK_RATE / 50;
/** Weight of one call in that mean: half a second of 20 ms frames moves it well. */
const SKEW_WEIGHT = 1 / 32;

const CODECS = {
  opus: { encoder: 'libopus', format: AV_SAMPLE_FMT_S16, samples: 960, bitrate: 96_000n },
  aac: { encoder: 'aac', format: AV_SAMPLE_FMT_FLTP, samples: 1024, bitrate: 128_000n },
} as const;

/** Encodes 48 kHz stereo PCM to Opus (20 ms packets) or AAC-LC (1024-sample packets). */
export class AudioEncoder {
  private readonly codec: AudioCodec;
  private readonly context = new CodecContext();
  private readonly frame = new Frame();
  private readonly packet = new Packet();
  private readonly frameSamples: number;
  /** Interleaved samples not yet enough for a packet. */
  private pending: Int16Array;
  private filled = 0;
  /** Output ticks of the first pending sample. */
  private pts: number | undefined;
  /** Mean distance of the input from where this run has it, ticks. */
  private skew = 0;

  constructor(codec: AudioCodec) {
    const { encoder, format, samples, bitrate } = CODECS[codec];
    const found = encoderNamed(encoder);
    this.codec = codec;
    this.frameSamples = samples;
    this.pending = new Int16Array(samples * 2);
    this.context.allocContext3(found);
    this.context.sampleRate = SAMPLE_RATE;
    this.context.sampleFormat = format;
    this.context.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
    this.context.timeBase = new Rational(1, SAMPLE_RATE);
    this.context.bitRate = bitrate;
    FFmpegError.throwIfError(this.context.open2Sync(found, null), `open ${encoder}`);
    this.packet.alloc();
    this.frame.alloc();
    this.frame.format = format;
    this.frame.sampleRate = SAMPLE_RATE;
    this.frame.channelLayout = AV_CHANNEL_LAYOUT_STEREO;
    this.frame.nbSamples = samples;
    FFmpegError.throwIfError(this.frame.allocBuffer(), 'allocate audio frame');
  }

  /**
   * @param samples interleaved stereo
   * @param pts output ticks of the first sample
   * @returns packets whose times follow `pts`: they may leave gaps, and begin again earlier when it does
   */
  encode(samples: Int16Array, pts: number): AudioPacket[] {
    const error = this.pts === undefined ? 0 : pts - (this.pts + (this.filled / 2) * TICKS_PER_SAMPLE);
    this.skew += (error - this.skew) * SKEW_WEIGHT;
    if (this.pts === undefined || Math.abs(error) > GAP) {
      this.filled = 0;
      this.pts = pts;
      this.skew = 0;
    } else if (Math.abs(this.skew) > SKEW) {
      this.pts += this.skew;
      this.skew = 0;
    }
    const packets: AudioPacket[] = [];
    let at = 0;
    while (at < samples.length) {
      const count = Math.min(samples.length - at, this.pending.length - this.filled);
      this.pending.set(samples.subarray(at, at + count), this.filled);
      this.filled += count;
      at += count;
      if (this.filled === this.pending.length) this.drain(packets);
    }
    return packets;
  }

  private drain(packets: AudioPacket[]): void {
    FFmpegError.throwIfError(this.frame.makeWritable(), 'audio buffer');
    FFmpegError.throwIfError(this.frame.fromBuffer(this.frameBytes()), 'copy audio');
    this.frame.pts = BigInt(Math.round(this.pts! / TICKS_PER_SAMPLE));
    FFmpegError.throwIfError(this.context.sendFrameSync(this.frame), 'encode audio');
    this.pts! += this.frameSamples * TICKS_PER_SAMPLE;
    this.filled = 0;
    while (this.context.receivePacketSync(this.packet) === 0) {
      packets.push({
        codec: this.codec,
        data: new Uint8Array(this.packet.data!),
        pts: Math.round(Number(this.packet.pts) * TICKS_PER_SAMPLE),
        duration: this.frameSamples * TICKS_PER_SAMPLE,
      });
      this.packet.unref();
    }
  }

  /** The pending samples in the encoder's own layout: interleaved s16, or planar float. */
  private frameBytes(): Buffer {
    const { pending, frameSamples } = this;
    if (this.codec === 'opus') return Buffer.from(pending.buffer);
    const planar = new Float32Array(pending.length);
    for (let i = 0; i < frameSamples; i++) {
      planar[i] = pending[2 * i]! / 32768;
      planar[frameSamples + i] = pending[2 * i + 1]! / 32768;
    }
    return Buffer.from(planar.buffer);
  }

  close(): void {
    this.packet.free();
    this.frame.free();
    this.context.freeContext();
  }
}
