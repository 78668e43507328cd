import { type AccessUnit, type AudioPacket, RENDITIONS, type Rendition } from '../contracts/media.ts';
import type { Sink, SubscribeOptions, Subscription } from '../contracts/publish.ts';

/** Keyframe requests of one rendition within this time are one request, ms. */
const KEYFRAME_MERGE = 300;

interface Entry {
  options: SubscribeOptions;
  bitrate: number | undefined;
}

/** What the subscribers of a stream want, all together. */
export interface Demand {
  renditions: Rendition[];
  opus: boolean;
  aac: boolean;
  /** Somebody sees what restoration makes of the picture. */
  watched: boolean;
}

export interface DemandListener {
  /** Somebody came or went. */
  changed(): void;
  keyframe(rendition: Rendition): void;
  /** The lowest bitrate wish among the subscribers of a rendition; undefined when there is none. */
  bitrate(rendition: Rendition, bps: number | undefined): void;
}

/** Everybody who receives one stream. Fans out units, and folds everybody's wishes into one. */
export class Subscribers {
  private readonly entries = new Set<Entry>();
  private readonly listener: DemandListener;
  private readonly lastKeyframe = new Map<Rendition, number>();
  private readonly lateKeyframe = new Map<Rendition, NodeJS.Timeout>();
  private readonly lastPts = new Map<Rendition, number>();

  constructor(listener: DemandListener) {
    this.listener = listener;
  }

  get count(): number {
    return this.entries.size;
  }

  get demand(): Demand {
    const all = [...this.entries].map(({ options }) => options);
    return {
      renditions: RENDITIONS.filter((rendition) => all.some((options) => options.rendition === rendition)),
      opus: all.some(({ audio }) => audio === 'opus'),
      aac: all.some(({ audio }) => audio === 'aac'),
      watched: all.some(({ rendition, still }) => rendition !== 'source' && !still),
    };
  }

  add(options: SubscribeOptions): Subscription {
    const entry: Entry = { options, bitrate: undefined };
    const { rendition } = options;
    this.entries.add(entry);
    this.listener.changed();
    return {
      requestKeyframe: () => {
        if (this.entries.has(entry)) this.requestKeyframe(rendition);
      },
      setBitrate: (bps) => {
        if (!this.entries.has(entry) || entry.bitrate === bps) return;
        entry.bitrate = bps;
        this.tellBitrate(rendition);
      },
      close: () => {
        if (!this.entries.delete(entry)) return;
        this.listener.changed();
        this.tellBitrate(rendition);
      },
    };
  }

  video(unit: AccessUnit): void {
    // A restarted restorer maps its clock anew: what would go back in time is not published.
    if (unit.pts <= (this.lastPts.get(unit.rendition) ?? 0)) {
      // Later pictures may refer to this one.
      this.requestKeyframe(unit.rendition);
      return;
    }
    this.lastPts.set(unit.rendition, unit.pts);
    for (const { options } of this.entries)
      if (options.rendition === unit.rendition) options.sink.video(unit);
  }

  audio(packet: AudioPacket): void {
    for (const { options } of this.entries) if (options.audio === packet.codec) options.sink.audio?.(packet);
  }

  each(action: (sink: Sink) => void): void {
    for (const { options } of [...this.entries]) action(options.sink);
  }

  close(): void {
    for (const timer of this.lateKeyframe.values()) clearTimeout(timer);
    this.each((sink) => sink.end?.());
    this.entries.clear();
  }

  private requestKeyframe(rendition: Rendition): void {
    if (this.lateKeyframe.has(rendition)) return;
    const wait =
      (this.lastKeyframe.get(rendition) ?? Number.NEGATIVE_INFINITY) + KEYFRAME_MERGE - performance.now();
    if (wait <= 0) {
      this.lastKeyframe.set(rendition, performance.now());
      this.listener.keyframe(rendition);
      return;
    }
    const timer = setTimeout(() => {
      this.lateKeyframe.delete(rendition);
      this.lastKeyframe.set(rendition, performance.now());
      this.listener.keyframe(rendition);
    }, wait);
    this.lateKeyframe.set(rendition, timer);
  }

  private tellBitrate(rendition: Rendition): void {
    const wishes = [...this.entries]
      .filter(({ options, bitrate }) => options.rendition === rendition && bitrate !== undefined)
      .map(({ bitrate }) => bitrate!);
    this.listener.bitrate(rendition, wishes.length > 0 ? Math.min(...wishes) : undefined);
  }
}
