import { type AccessUnit, type AudioPacket, CLOCK_RATE } from '../../contracts/media.ts';
import type { Logger } from '../../telemetry/log.ts';
import { splitParameterSets } from './annexb.ts';
import { AudioTimeline } from './audio-timeline.ts';
import { Fmp4Muxer } from './fmp4.ts';
import type { InitSegment, MediaWindow } from './media-window.ts';

/** The least share of PART-TARGET of a part that is neither independent nor the last of its segment (§4.4.4.9). */
const MIN_SHARE = 0.85;
/** A keyframe that was asked for and did not come is asked for again after this many ticks. */
const ASK_AGAIN = CLOCK_RATE;

export interface SegmenterOptions {
  window: MediaWindow;
  /** Whether parts carry an audio track, for good. */
  audio: boolean;
  /** Whether the first segment follows another window's last. */
  resumed: boolean;
  requestKeyframe: () => void;
  logger: Logger;
}

interface Picture {
  unit: AccessUnit;
  /** Annex B without parameter sets. */
  data: Uint8Array;
}

/**
 * Cuts one rendition into parts and segments.
 *
 * A picture's duration is known when the next one comes, so a part goes out one picture after its last. When pictures
 * do not divide the part target, or a camera slows down after it was announced, a picture that would make its part too
 * long is declared shorter than it lasts: the part keeps its promise, the next one begins where its pictures do, and
 * players bridge the hole.
 *
 * Segments end at the first keyframe around the configured duration, which is asked for as early as the encoder was
 * late the last time. Without one, a segment ends before it breaks the target duration, and the next does not begin
 * with a keyframe.
 */
export class Segmenter {
  readonly #window: MediaWindow;
  readonly #requestKeyframe: () => void;
  readonly #logger: Logger;
  readonly #audio: AudioTimeline | undefined;
  #muxer: Fmp4Muxer | undefined;
  #init: InitSegment | undefined;
  #parameterSets = Buffer.alloc(0);
  /** The newest picture, whose duration is not known yet; none until a keyframe begins the timeline. */
  #last: Picture | undefined;
  #discontinuity: boolean;
  /** Ticks between the last two pictures. */
  #frame: number;
  #partDuration = 0;
  #partIndependent = false;
  #segmentOpen = false;
  #segmentDuration = 0;
  /** Where the segment grid counts from. */
  #segmentStart = 0;
  /** Output clock when a keyframe was asked for. */
  #asked: number | undefined;
  /** Ticks from asking for a keyframe to the keyframe. */
  #lead: number;

  constructor(options: SegmenterOptions) {
    this.#window = options.window;
    this.#requestKeyframe = options.requestKeyframe;
    this.#logger = options.logger;
    this.#audio = options.audio ? new AudioTimeline() : undefined;
    this.#frame = options.window.timing.frame;
    this.#lead = this.#frame;
    this.#discontinuity = options.resumed;
  }

  video(unit: AccessUnit): void {
    const { segmentLimit } = this.#window.timing;
    if (this.#last !== undefined && unit.pts <= this.#last.unit.pts) return;
    if (this.#last !== undefined && unit.pts - this.#last.unit.pts > segmentLimit) this.discontinuity();
    if (unit.key) this.#key(unit);
    else if (this.#last !== undefined) {
      this.#add(this.#last, unit.pts);
      this.#last = { unit, data: unit.data };
    }
    this.#askForKeyframe(unit.pts);
  }

  audio(packet: AudioPacket): void {
    this.#audio?.push(packet);
  }

  /** Ends part and segment; what follows begins with a keyframe on a new timeline. */
  discontinuity(): void {
    if (this.#last === undefined) return;
    const end = this.#last.unit.pts + this.#frame;
    this.#add(this.#last, end);
    this.#last = undefined;
    this.#endSegment(end);
    this.#discontinuity = true;
    this.#asked = undefined;
  }

  /** Frees the native muxer; nothing may be called afterwards. */
  close(): void {
    this.#muxer?.close();
    this.#muxer = undefined;
  }

  /** The first segment is half as long: whoever is first to watch waits for it. */
  get #segmentTarget(): number {
    const { first, next, timing } = this.#window;
    return next.msn === first ? timing.segment / 2 : timing.segment;
  }

  #key(unit: AccessUnit): void {
    const { segment, partTarget } = this.#window.timing;
    const { sets, picture } = splitParameterSets(unit.data);
    const changed =
      this.#init?.width !== unit.width ||
      this.#init.height !== unit.height ||
      (sets.length > 0 && !this.#parameterSets.equals(sets));
    if (this.#last !== undefined) this.#add(this.#last, unit.pts);
    if (changed) {
      this.#endSegment(unit.pts);
      if (!this.#describe(unit, sets)) {
        this.#last = undefined;
        return;
      }
    } else if (unit.pts - this.#segmentStart >= this.#segmentTarget - partTarget / 2)
      this.#endSegment(unit.pts);
    else if (this.#partDuration >= MIN_SHARE * partTarget) this.#endPart(unit.pts);

    if (this.#asked !== undefined) {
      this.#lead = Math.min(Math.max(unit.pts - this.#asked, this.#frame), segment / 4);
      this.#asked = undefined;
    }
    if (this.#last === undefined) this.#audio?.restart(unit.pts);
    if (!this.#segmentOpen) this.#segmentStart = unit.pts;
    this.#last = { unit, data: picture };
  }

  /** A new initialisation segment; false when the parameter sets make no sense. */
  #describe({ width, height }: AccessUnit, sets: Uint8Array): boolean {
    this.#discontinuity ||= this.#init !== undefined;
    this.#muxer?.close();
    this.#muxer = undefined;
    this.#init = undefined;
    try {
      this.#muxer = new Fmp4Muxer({ width, height, parameterSets: sets, audio: this.#audio !== undefined });
    } catch (error) {
      this.#logger.warn({ err: error }, 'HLS: keyframe without usable SPS and PPS; waiting for the next');
      return false;
    }
    this.#parameterSets = Buffer.from(sets);
    this.#init = { data: this.#muxer.init, codecs: this.#muxer.codecs, width, height };
    return true;
  }

  /** Puts a picture that lasts until `end` into its part. */
  #add({ unit, data }: Picture, end: number): void {
    const { partTarget, segmentLimit } = this.#window.timing;
    this.#frame = end - unit.pts;
    const full = MIN_SHARE * partTarget;
    if (this.#partDuration + this.#frame > partTarget && this.#partDuration >= full) this.#endPart(unit.pts);
    const duration = Math.min(this.#frame, partTarget - this.#partDuration);
    if (this.#segmentDuration + this.#partDuration + duration > segmentLimit) {
      this.#endSegment(unit.pts);
      this.#segmentStart = unit.pts;
    }
    if (!this.#segmentOpen) {
      this.#window.open(unit.pts, this.#init!, this.#discontinuity);
      this.#segmentOpen = true;
      this.#discontinuity = false;
    }
    this.#partIndependent = unit.key || (this.#partDuration > 0 && this.#partIndependent);
    this.#muxer!.video({ data, pts: unit.pts, duration, key: unit.key });
    this.#partDuration += duration;
    if (this.#partDuration >= full && this.#partDuration + this.#frame > partTarget) this.#endPart(end);
  }

  /** Publishes the part, with the sound up to `end`. */
  #endPart(end: number): void {
    if (this.#partDuration === 0) return;
    for (const sample of this.#audio?.take(end) ?? []) this.#muxer!.audio(sample);
    const data = this.#muxer!.flush();
    this.#segmentDuration += this.#partDuration;
    this.#window.add({ data, duration: this.#partDuration, independent: this.#partIndependent });
    this.#partDuration = 0;
  }

  #endSegment(end: number): void {
    this.#endPart(end);
    this.#window.complete();
    this.#segmentOpen = false;
    this.#segmentDuration = 0;
  }

  #askForKeyframe(now: number): void {
    const waiting = this.#last === undefined;
    if (!waiting && now - this.#segmentStart + this.#lead < this.#segmentTarget) return;
    if (this.#asked !== undefined && now - this.#asked < ASK_AGAIN) return;
    this.#asked = now;
    this.#requestKeyframe();
  }
}
