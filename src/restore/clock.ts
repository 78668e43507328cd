import { CLOCK_RATE } from '../contracts/media.ts';

/** A source timestamp further than this from where it should be starts a new timeline, ms. */
const JUMP = 5000;
/** So many frames in a row from before the last one, each after the other, are a source that has stepped back. */
const STEPPED_BACK = 3;
/** How often, and by how much at most, the clock leans towards the camera's true rate, ms. 0.1 % covers any crystal. */
const DRIFT_WINDOW = 5000;
const DRIFT_STEP = 5;

const TICKS_PER_MS = CLOCK_RATE / 1000;

/**
 * Maps source timestamps onto the gateway's output clock: Unix time in 90 kHz ticks, strictly increasing.
 * A frame's output time is never after its arrival and, but for network jitter, not before it: the first frame is
 * anchored at its arrival; a frame that comes earlier than the clock says shows that the anchor was late (a server
 * that begins with its stored GOP, say) and moves it; a jump of more than 5 s, a lesser step back that lasts, or a
 * source clock that has left real time by 5 s, re-anchors; and slow drift of the camera's crystal is followed by at most 1 ms a second, so that
 * a month of streaming neither grows delay nor runs dry.
 */
export class OutputClock {
  /** Output minus source, ms. */
  private offset: number | undefined;
  private lastSource = 0;
  /** Frames in a row that were from before the last one, and the newest of them. */
  private behind = 0;
  private lastBehind = 0;
  private lastTicks: number;
  private driftSince = 0;
  private leastLate = Number.POSITIVE_INFINITY;
  /** Times the timeline was re-anchored after the first anchor. */
  jumps = 0;

  /** @param after output ticks already used by an earlier session of the same stream */
  constructor(after = 0) {
    this.lastTicks = after;
  }

  get last(): number {
    return this.lastTicks;
  }

  /**
   * Output ticks of a video frame.
   * @param source source PTS, ms
   * @param arrival Unix ms when the frame's packet arrived
   * @returns undefined when the frame is out of order and must be dropped
   */
  video(source: number, arrival: number): number | undefined {
    if (this.offset === undefined) this.anchor(source, arrival);
    else if (Math.abs(source - this.lastSource) > JUMP || Math.abs(source + this.offset - arrival) > JUMP) {
      this.anchor(source, arrival);
      this.jumps++;
    } else if (source <= this.lastSource) {
      this.behind = source > this.lastBehind ? this.behind + 1 : 1;
      this.lastBehind = source;
      if (this.behind < STEPPED_BACK) return undefined;
      this.anchor(source, arrival);
      this.jumps++;
    }
    this.behind = 0;
    this.follow(source, arrival);
    this.lastSource = source;
    this.lastTicks = Math.max(this.lastTicks + 1, Math.round((source + this.offset!) * TICKS_PER_MS));
    return this.lastTicks;
  }

  /**
   * Output ticks of an audio sample; undefined until the first picture has set the clock, and for sound of a new
   * timeline until a picture has shown where that one lies.
   */
  audio(source: number): number | undefined {
    return this.offset === undefined || Math.abs(source - this.lastSource) > JUMP
      ? undefined
      : Math.round((source + this.offset) * TICKS_PER_MS);
  }

  private anchor(source: number, arrival: number): void {
    this.offset = Math.max(arrival, this.lastTicks / TICKS_PER_MS) - source;
    this.driftSince = arrival;
    this.leastLate = Number.POSITIVE_INFINITY;
  }

  /** The least late frame of a window shows the true offset: network jitter only ever adds delay. */
  private follow(source: number, arrival: number): void {
    const late = arrival - (source + this.offset!);
    if (late < 0) this.offset! += late;
    this.leastLate = Math.min(this.leastLate, Math.max(0, late));
    if (arrival - this.driftSince < DRIFT_WINDOW) return;
    this.offset! += Math.min(DRIFT_STEP, this.leastLate);
    this.driftSince = arrival;
    this.leastLate = Number.POSITIVE_INFINITY;
  }
}
