import type { Config } from '../../config/schema.ts';
import { CLOCK_RATE } from '../../contracts/media.ts';

/** The promises a playlist makes once and keeps for as long as it exists. Ticks are 90 kHz. */
export interface Timing {
  /** No part is longer, and none is shorter than 85 % of it that is neither independent nor the last of its segment. Ticks. */
  partTarget: number;
  /** Elapsed ticks at which a segment wants to end. */
  segment: number;
  /** EXT-X-TARGETDURATION, whole seconds. */
  targetDuration: number;
  /** No segment is longer: what still rounds to TARGETDURATION. Ticks. */
  segmentLimit: number;
  /** Typical ticks from one picture to the next. */
  frame: number;
}

const MIN_PART = CLOCK_RATE / 10;
const MAX_PART = 5 * CLOCK_RATE;
const MIN_SEGMENT = CLOCK_RATE;
const MAX_SEGMENT = 60 * CLOCK_RATE;

/**
 * Chooses them from the configuration and the ticks between the first pictures. A part is a whole number of pictures
 * nearest to the configured duration (one at least, however slow the camera), plus slack for their jitter: up to half
 * a picture, never more than 8 %, so that a part without jitter stays above 85 %.
 */
export function planTiming(config: Pick<Config['hls'], 'part' | 'segment'>, intervals: number[]): Timing {
  const sorted = intervals.toSorted((a, b) => a - b);
  const frame = Math.min(sorted[sorted.length >> 1] ?? CLOCK_RATE / 25, MAX_PART);
  const wanted = Math.min(MAX_PART, Math.max(MIN_PART, ticks(config.part)));
  const pictures = Math.max(1, Math.round(wanted / frame));
  const slack = Math.min(frame / 2, pictures * frame * 0.08);
  // Whole milliseconds, so that the decimals in the playlist are exact.
  const partTarget = Math.ceil((pictures * frame + slack) / 90) * 90;
  const segment = Math.min(MAX_SEGMENT, Math.max(MIN_SEGMENT, ticks(config.segment), 2 * partTarget));
  const targetDuration = Math.ceil(segment / CLOCK_RATE);
  return { partTarget, segment, targetDuration, segmentLimit: (targetDuration + 0.49) * CLOCK_RATE, frame };
}

function ticks(ms: number): number {
  return Math.round((ms * CLOCK_RATE) / 1000);
}
