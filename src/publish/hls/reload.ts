import { ClearwayError } from '../../contracts/errors.ts';
import { CLOCK_RATE } from '../../contracts/media.ts';
import type { MediaWindow } from './media-window.ts';

/** The delivery directives of a playlist request (rfc8216bis §6.2.5). */
export interface Directives {
  /** Answer when the playlist has this segment, or this part of it. */
  wait: { msn: number; part: number | undefined } | undefined;
  skip: boolean;
}

/** Reads `_HLS_msn`, `_HLS_part` and `_HLS_skip`. Throws CLEARWAY_BAD_REQUEST (400) where the draft says so. */
export function parseDirectives(query: Record<string, unknown>): Directives {
  const msn = integer(query, '_HLS_msn');
  const part = integer(query, '_HLS_part');
  const skip = query._HLS_skip;
  if (part !== undefined && msn === undefined) throw refuse('_HLS_part needs _HLS_msn.');
  if (skip !== undefined && skip !== 'YES' && skip !== 'v2') throw refuse('_HLS_skip must be YES or v2.');
  return { wait: msn === undefined ? undefined : { msn, part }, skip: skip !== undefined };
}

/** Refuses to wait for what is too far ahead: two segments, or as many parts as three seconds have (at least three). */
export function checkReachable(
  window: MediaWindow,
  { msn, part }: { msn: number; part: number | undefined },
): void {
  const { next, lastCompleteMsn, timing } = window;
  const ahead = Math.max(3, Math.ceil((3 * CLOCK_RATE) / timing.partTarget));
  if (msn > lastCompleteMsn + 2) throw refuse('_HLS_msn is more than two segments ahead of the playlist.');
  const from = msn === next.msn ? next.part : 0;
  if (msn >= next.msn && part !== undefined && part >= from + ahead) {
    throw refuse('_HLS_part is too far ahead of the playlist.');
  }
}

function integer(query: Record<string, unknown>, name: string): number | undefined {
  const value = query[name];
  if (value === undefined) return undefined;
  if (typeof value === 'string' && /^\d{1,15}$/.test(value)) return Number(value);
  throw refuse(`${name} must be one whole number.`);
}

function refuse(message: string): ClearwayError {
  return new ClearwayError('CLEARWAY_BAD_REQUEST', message, { status: 400 });
}
