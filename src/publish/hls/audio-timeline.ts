import { type AudioPacket, CLOCK_RATE } from '../../contracts/media.ts';
import type { Sample } from './fmp4.ts';

/** 1024 samples at 48 kHz, in 90 kHz ticks. */
const FRAME = 1920;
/** An AAC-LC frame of digital silence, 48 kHz stereo, as FFmpeg's encoder makes of `anullsrc`. */
const SILENCE = new Uint8Array([0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c]);
/** How far sound may lag behind the picture before silence takes its place: audio that stopped must not stop players. */
const PATIENCE = CLOCK_RATE / 2;
/** Packets held ahead of the picture: ten seconds. */
const MAX_QUEUE = 470;

/**
 * Turns AAC packets as they come into a track without holes: a player waits for the track that lags, so where there is
 * no sound (not yet, lost, or stopped) there is silence.
 */
export class AudioTimeline {
  #queue: AudioPacket[] = [];
  /** Where the next frame begins. */
  #next = 0;

  push(packet: AudioPacket): void {
    this.#queue.push(packet);
    if (this.#queue.length > MAX_QUEUE) this.#queue.shift();
  }

  /** Begins anew at `pts`, the first picture after a break of the timeline. */
  restart(pts: number): void {
    this.#next = pts;
    this.#queue = this.#queue.filter((packet) => packet.pts + FRAME / 2 >= pts);
  }

  /** The frames that begin before `end`, so that picture and sound of a part belong together. */
  take(end: number): Sample[] {
    const frames: Sample[] = [];
    let packet = this.#queue[0];
    while (packet !== undefined && packet.pts < end) {
      this.#queue.shift();
      // Late: silence is out in its place. Half a frame of jitter is contiguous sound.
      if (packet.pts >= this.#next - FRAME / 2) {
        if (packet.pts > this.#next + 2 * FRAME) this.#silence(frames, packet.pts - FRAME);
        const pts = packet.pts > this.#next + FRAME / 2 ? packet.pts : this.#next;
        this.#emit(frames, packet.data, pts);
      }
      packet = this.#queue[0];
    }
    this.#silence(frames, end - PATIENCE);
    return frames;
  }

  #silence(frames: Sample[], until: number): void {
    while (this.#next <= until) this.#emit(frames, SILENCE, this.#next);
  }

  #emit(frames: Sample[], data: Uint8Array, pts: number): void {
    frames.push({ data, pts, duration: FRAME, key: true });
    this.#next = pts + FRAME;
  }
}
