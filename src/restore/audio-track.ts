import { AudioEncoder } from '../codec/audio-encoder.ts';
import type { AudioCodec, AudioPacket } from '../contracts/media.ts';
import type { OutputClock } from './clock.ts';

/** Packets held at most while the picture is behind: 5 s of both codecs. */
const HELD = 512;

/**
 * Encodes a stream's audio for whoever listens and holds each packet until the picture of the same moment is out, so
 * that players need no buffer of their own to keep lips in sync.
 */
export class AudioTrack {
  private readonly encoders = new Map<AudioCodec, AudioEncoder>();
  private readonly send: (packet: AudioPacket) => void;
  private held: AudioPacket[] = [];
  /** Where the sound that was sent ends, output ticks. */
  private readonly sentUntil = new Map<AudioCodec, number>();

  constructor(send: (packet: AudioPacket) => void) {
    this.send = send;
  }

  want(codecs: readonly AudioCodec[]): void {
    for (const [codec, encoder] of this.encoders) {
      if (codecs.includes(codec)) continue;
      encoder.close();
      this.encoders.delete(codec);
    }
    for (const codec of codecs)
      if (!this.encoders.has(codec)) this.encoders.set(codec, new AudioEncoder(codec));
  }

  /**
   * @param data interleaved stereo s16le at 48 kHz
   * @param source source clock of the first sample, ms
   * @param clock maps onto the output clock; audio before the first picture is dropped
   */
  push(data: Uint8Array, source: number, clock: OutputClock): void {
    if (this.encoders.size === 0) return;
    const pts = clock.audio(source);
    if (pts === undefined) return;
    // A copy when unaligned: Int16Array needs even offsets.
    const bytes = data.byteOffset % 2 === 0 ? data : Uint8Array.from(data);
    const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength >> 1);
    for (const [codec, encoder] of this.encoders) {
      const packets = encoder.encode(samples, pts);
      const from = packets[0]?.pts;
      // When the clock moved back, what it placed later before is out of place.
      if (from !== undefined)
        this.held = this.held.filter((packet) => packet.codec !== codec || packet.pts < from);
      this.held.push(...packets);
    }
    this.held.splice(0, Math.max(0, this.held.length - HELD));
  }

  /** Lets go what is due: everything up to the picture that is out, or older than `latest` allows. */
  release(pictureTicks: number, latestTicks: number): void {
    const due = Math.max(pictureTicks, latestTicks);
    this.held = this.held.filter((packet) => {
      if (packet.pts > due) return true;
      const { codec, pts, duration } = packet;
      // Times only move forward; a tick is rounding.
      if (pts < (this.sentUntil.get(codec) ?? 0) - 1) return false;
      this.sentUntil.set(codec, pts + duration);
      this.send(packet);
      return false;
    });
  }

  /** Drops what is held: the timeline broke. */
  reset(): void {
    this.held = [];
  }

  close(): void {
    this.want([]);
    this.held = [];
  }
}
