import { CLOCK_RATE } from '../../contracts/media.ts';
import type { Timing } from './timing.ts';

/** An EXT-X-MAP resource. */
export interface InitSegment {
  data: Buffer;
  codecs: string;
  width: number;
  height: number;
}

/** A partial segment: one `moof` + `mdat`. Duration in 90 kHz ticks. */
export interface Part {
  data: Buffer;
  duration: number;
  /** Has an IDR picture. */
  independent: boolean;
}

export interface Segment {
  /** Media Sequence Number. */
  msn: number;
  /** Output clock of its first picture. */
  pts: number;
  init: InitSegment;
  /** MSN of the first segment with this init: names it. */
  initMsn: number;
  /** EXT-X-DISCONTINUITY precedes it. */
  discontinuity: boolean;
  parts: Part[];
  /** Sum of its parts, ticks. */
  duration: number;
  /** All of it, once no part follows; the parts are views of it. One for all players, of whom some read slowly. */
  data?: Buffer;
}

export interface WindowOptions {
  timing: Timing;
  /** Complete segments to list, at least; more while they are shorter than three target durations together. */
  keep: number;
  /** Where Media Sequence Numbers and EXT-X-DISCONTINUITY-SEQUENCE begin. */
  start: Position;
  onChange: () => void;
}

export interface Position {
  msn: number;
  discontinuity: number;
}

/** Segments that left the playlist and are still served, for requests under way. */
const STRAGGLERS = 2;

/** The segments of one rendition that players can get now, oldest first; its memory is bounded by what it lists. */
export class MediaWindow {
  readonly timing: Timing;
  /** MSN of the first segment ever. */
  readonly first: number;
  /** EXT-X-DISCONTINUITY-SEQUENCE: discontinuities that left the playlist. */
  discontinuitySequence: number;
  /** No segment follows, ever: EXT-X-ENDLIST. */
  ended = false;
  readonly #keep: number;
  readonly #onChange: () => void;
  #segments: Segment[] = [];
  /** How many of `#segments` are stragglers. */
  #unlisted = 0;
  #nextMsn: number;

  constructor(options: WindowOptions) {
    this.timing = options.timing;
    this.#keep = options.keep;
    this.#onChange = options.onChange;
    this.first = options.start.msn;
    this.#nextMsn = this.first;
    this.discontinuitySequence = options.start.discontinuity;
  }

  /** What the playlist lists; the last one may be incomplete, with one part at least. */
  get listed(): Segment[] {
    return this.#segments.slice(this.#unlisted).filter(({ parts }) => parts.length > 0);
  }

  /** The part to come: what EXT-X-PRELOAD-HINT names. */
  get next(): { msn: number; part: number } {
    const open = this.#open;
    return open ? { msn: open.msn, part: open.parts.length } : { msn: this.#nextMsn, part: 0 };
  }

  get lastCompleteMsn(): number {
    return this.#open ? this.#nextMsn - 2 : this.#nextMsn - 1;
  }

  /** Where a window that follows this one begins. */
  get end(): Position {
    const discontinuities = this.#segments.slice(this.#unlisted).filter((segment) => segment.discontinuity);
    return { msn: this.#nextMsn, discontinuity: this.discontinuitySequence + discontinuities.length };
  }

  segment(msn: number): Segment | undefined {
    return this.#segments.find((segment) => segment.msn === msn);
  }

  init(msn: number): InitSegment | undefined {
    return this.#segments.find((segment) => segment.initMsn === msn)?.init;
  }

  /**
   * Whether the playlist has segment `msn`, or part `part` of it (absent = the whole segment). A part beyond the last
   * of a complete segment is the first of the next (rfc8216bis §6.2.5.2).
   */
  reached(msn: number, part?: number): boolean {
    if (this.ended || msn < this.lastCompleteMsn) return true;
    if (part === undefined) return msn <= this.lastCompleteMsn;
    const segment = this.segment(msn);
    if (segment?.data && part >= segment.parts.length) return this.reached(msn + 1, 0);
    return segment !== undefined && segment.parts.length > part;
  }

  /** Begins a segment. */
  open(pts: number, init: InitSegment, discontinuity: boolean): void {
    const msn = this.#nextMsn++;
    const previous = this.#segments.at(-1);
    const initMsn = previous?.init === init ? previous.initMsn : msn;
    this.#segments.push({
      msn,
      pts,
      init,
      initMsn,
      discontinuity,
      parts: [],
      duration: 0,
    });
  }

  add(part: Part): void {
    const segment = this.#segments.at(-1)!;
    segment.parts.push(part);
    segment.duration += part.duration;
    this.#onChange();
  }

  /** Completes the open segment, if there is one. */
  complete(): void {
    const open = this.#open;
    if (open === undefined) return;
    open.data = Buffer.concat(open.parts.map(({ data }) => data));
    let at = 0;
    for (const part of open.parts) {
      part.data = open.data.subarray(at, at + part.data.length);
      at += part.data.length;
    }
    this.#trim();
    this.#onChange();
  }

  finish(): void {
    this.complete();
    this.ended = true;
    this.#onChange();
  }

  get #open(): Segment | undefined {
    const last = this.#segments.at(-1);
    return last?.data === undefined ? last : undefined;
  }

  /** A live playlist never gets shorter than three target durations by removal (rfc8216bis §6.2.2). */
  #trim(): void {
    const floor = 3 * this.timing.targetDuration * CLOCK_RATE;
    const listed = this.listed;
    let total = listed.reduce((sum, { duration }) => sum + duration, 0);
    for (const [index, segment] of listed.entries()) {
      total -= segment.duration;
      if (listed.length - index <= this.#keep || total < floor) break;
      if (segment.discontinuity) this.discontinuitySequence++;
      this.#unlisted++;
    }
    const gone = Math.max(0, this.#unlisted - STRAGGLERS);
    this.#segments = this.#segments.slice(gone);
    this.#unlisted -= gone;
  }
}
