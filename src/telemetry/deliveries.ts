import type { Metrics } from './metrics.ts';

/** Frames older than this are let go, ms. */
const KEEP = 60_000;
/** HLS players know a frame's time to a millisecond or two, 90 kHz ticks. */
const NEAR = 450;

/** What became of one frame after its encoding; Unix ms on the gateway's clock. */
export interface Delivery {
  /** Output clock, 90 kHz ticks. */
  pts: number;
  encoded: number;
  /** Handed to HLS and to the WebRTC threads. */
  published: number;
  /** Its last RTP packet was made. */
  sent?: number;
  /** First shown by a player. */
  webrtc?: number;
  hls?: number;
}

/** The stages after the encoder, in order; HLS, which waits for whole parts and a buffer, beside WebRTC. */
export const DELIVERY_STAGES = ['publish', 'packetise', 'display', 'display-hls'] as const;
export type DeliveryStage = (typeof DELIVERY_STAGES)[number];

/** Follows published frames to the screens they are shown on: how long each stage took, for a minute's trace as well. */
export class Deliveries {
  private readonly metrics: Metrics;
  /** Oldest first. */
  private readonly frames = new Map<string, Delivery[]>();

  constructor(metrics: Metrics) {
    this.metrics = metrics;
  }

  /** A unit was handed on; once for each rendition. */
  published(stream: string, { pts, encoded }: { pts: number; encoded: number }, at: number): void {
    this.observe(stream, 'publish', at - encoded);
    const frames = this.frames.get(stream) ?? [];
    const last = frames.at(-1);
    if (last?.pts === pts) last.published = at;
    else if (!last || pts > last.pts) frames.push({ pts, encoded, published: at });
    while (frames[0] && at - frames[0].published > KEEP) frames.shift();
    this.frames.set(stream, frames);
  }

  /** A WebRTC thread has made packets of a unit and given them to its viewers' connections. */
  sent(stream: string, pts: number, at: number): void {
    const frame = this.find(stream, pts);
    if (!frame) return;
    this.observe(stream, 'packetise', at - frame.published);
    frame.sent = Math.max(at, frame.sent ?? 0);
  }

  /** A player showed a frame. */
  shown(stream: string, protocol: 'webrtc' | 'hls', pts: number, at: number): void {
    const frame = this.find(stream, pts);
    if (!frame) return;
    if (protocol === 'hls') this.observe(stream, 'display-hls', at - frame.published);
    else this.observe(stream, 'display', at - (frame.sent ?? frame.published));
    frame[protocol] = Math.min(at, frame[protocol] ?? Number.POSITIVE_INFINITY);
  }

  /** Frames published since `since`, Unix ms. */
  of(stream: string, since: number): Delivery[] {
    return (this.frames.get(stream) ?? []).filter(({ published }) => published >= since);
  }

  forget(stream: string): void {
    this.frames.delete(stream);
  }

  private observe(stream: string, stage: DeliveryStage, ms: number): void {
    this.metrics.stageDuration.observe({ stream, stage }, Math.max(0, ms) / 1000);
  }

  /** The frame nearest to a time, if it is near at all. */
  private find(stream: string, pts: number): Delivery | undefined {
    const frames = this.frames.get(stream) ?? [];
    let [from, to] = [0, frames.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if (frames[middle]!.pts < pts) from = middle + 1;
      else to = middle;
    }
    const off = (frame: Delivery | undefined) =>
      frame ? Math.abs(frame.pts - pts) : Number.POSITIVE_INFINITY;
    const [before, after] = [frames[from - 1], frames[from]];
    const nearest = off(before) < off(after) ? before : after;
    return off(nearest) <= NEAR ? nearest : undefined;
  }
}
