import { CLOCK_RATE } from '../contracts/media.ts';

/** Seconds from the NTP epoch (1900) to the Unix epoch. */
const NTP_EPOCH = 2_208_988_800;
const HEADER = 8;
/** Size of a version 1 `prft` box, ISO/IEC 14496-12, 8.16.5. */
const PRFT = 32;
/** A picture that was taken further than this before its arrival, or after it, is late, or a clock is wrong, ms. */
const OLDEST = 10_000;
const NEWEST = -50;
/** A camera's clock that moves by less than this against its pictures' timestamps was not set, ms. */
const UNSET = 1000;
/** Packets with a producer reference time whose value has not come yet. */
const KEPT = 512;

/** Frames over which it is judged whether the times a camera gives can be true, and the shares that turn the verdict. */
const JUDGED = 32;
const DISTRUST = 0.25;
const TRUST = 0.75;

/**
 * Unix time in ms, on the gateway's clock, at which a packet's picture was taken; `wrong` when what the camera says
 * cannot be true.
 */
export type Capture = number | 'wrong' | undefined;

export interface ProducerTime {
  /** Source clock, 90 kHz ticks. */
  pts: number;
  /** Unix ms, whole. */
  capture: number;
}

/** Reads the producer reference times (`prft`) out of a fragmented MP4 with a 90 kHz track; all else is passed over. */
export class ProducerTimeReader {
  private held = Buffer.alloc(0);
  private skip = 0;

  push(chunk: Uint8Array): ProducerTime[] {
    const times: ProducerTime[] = [];
    let data = this.held.length > 0 ? Buffer.concat([this.held, chunk]) : Buffer.from(chunk);
    for (;;) {
      const passed = Math.min(this.skip, data.length);
      data = data.subarray(passed);
      this.skip -= passed;
      if (data.length < HEADER) break;
      const size = Math.max(HEADER, data.readUInt32BE(0));
      if (data.toString('latin1', 4, 8) === 'prft' && size === PRFT) {
        if (data.length < PRFT) break;
        const seconds = data.readUInt32BE(16) - NTP_EPOCH + data.readUInt32BE(20) / 2 ** 32;
        times.push({ pts: Number(data.readBigUInt64BE(24)), capture: Math.round(seconds * 1000) });
      }
      this.skip = size;
    }
    this.held = Buffer.from(data);
    return times;
  }
}

/**
 * When pictures were taken, from what the camera's RTCP sender reports (RFC 3550, 6.4.1) say of its clock. ffmpeg
 * attaches a producer reference time to every packet after the first report, but shows its value only in an MP4's
 * `prft` box, where it puts its own clock when a packet has none: only times of packets known to have one count.
 */
export class CaptureClock {
  /** Packets that carry a time, with the one whose time that is; undefined until it has come. */
  private readonly timed = new Map<number, number | undefined>();
  /** The newest packet, while the time it carries is its successor's. */
  private waiting: number | undefined;
  /** Unix ms minus source clock in ms. */
  private offset: number | undefined;
  /** `offset` on the gateway's clock when a frame's time last could be true. */
  private proven: number | undefined;
  /** Running share of the frames whose times can be true. */
  private plausible = 1;
  private trusted = true;

  /**
   * The next packet.
   * @param timed it carries a producer reference time
   * @param parsed it was put together from several: ffmpeg lets it go when its successor begins, and attaches what
   * that one's first piece carries
   */
  packet(pts: number, timed: boolean, parsed: boolean): void {
    if (this.waiting !== undefined) this.timed.set(this.waiting, pts);
    this.waiting = timed && parsed ? pts : undefined;
    if (timed) this.timed.set(pts, parsed ? undefined : pts);
    if (this.timed.size > KEPT) this.timed.delete(this.timed.keys().next().value!);
  }

  /** The value of the time that a packet carries. */
  learn({ pts, capture }: ProducerTime): void {
    const taken = this.timed.get(pts);
    if (taken !== undefined) this.offset = capture - (taken / CLOCK_RATE) * 1000;
  }

  /**
   * @param arrival Unix ms on the gateway's clock
   * @param set how far the host's clock was set forward since the gateway's clock began, ms: the camera goes by it
   */
  captureOf(pts: number | undefined, arrival: number, set: number): Capture {
    if (this.offset === undefined || pts === undefined) return undefined;
    const offset = this.offset - set;
    const capture = (pts / CLOCK_RATE) * 1000 + offset;
    const age = arrival - capture;
    const fits = age >= NEWEST && age <= OLDEST;
    // Where the host or the camera is overloaded pictures arrive late, all of them, and look older by as much.
    const late = age > OLDEST && this.proven !== undefined && Math.abs(offset - this.proven) < UNSET;
    if (fits) this.proven = offset;
    if (!late) this.judge(fits);
    if (!this.trusted) return 'wrong';
    return fits ? capture : undefined;
  }

  /** A single frame, reordered say, says nothing about the camera. */
  private judge(fits: boolean): void {
    this.plausible += ((fits ? 1 : 0) - this.plausible) / JUDGED;
    if (this.plausible < DISTRUST) this.trusted = false;
    else if (this.plausible > TRUST) this.trusted = true;
  }
}
