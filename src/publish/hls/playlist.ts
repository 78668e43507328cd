import { CLOCK_RATE } from '../../contracts/media.ts';
import type { MediaWindow, Segment } from './media-window.ts';
import type { Timing } from './timing.ts';

/** Another rendition of the stream that is live too, for EXT-X-RENDITION-REPORT. */
export interface RenditionReport {
  uri: string;
  lastMsn: number;
  lastPart: number;
}

export interface MediaPlaylistOptions {
  /** Leave out segments older than CAN-SKIP-UNTIL (`_HLS_skip`). */
  skip: boolean;
  reports: RenditionReport[];
  /** Query that every URI in the playlist carries, without `?`; may be empty. */
  query?: string;
}

/** File names, relative to the media playlist. */
export const uris = {
  playlist: 'media.m3u8',
  init: (msn: number) => `init-${msn}.mp4`,
  segment: (msn: number) => `${msn}.m4s`,
  part: (msn: number, part: number) => `${msn}.${part}.m4s`,
};

/** CAN-SKIP-UNTIL, seconds: the least rfc8216bis §4.4.3.8 allows. */
function skipUntil(timing: Timing): number {
  return 6 * timing.targetDuration;
}

/** A live media playlist as draft-pantos-hls-rfc8216bis has it, low latency with plain segments for other players. */
export function renderMediaPlaylist(window: MediaWindow, options: MediaPlaylistOptions): string {
  const { timing } = window;
  const listed = window.listed;
  const link = (uri: string) => (options.query ? `${uri}?${options.query}` : uri);
  const lines = [
    '#EXTM3U',
    '#EXT-X-VERSION:9',
    `#EXT-X-TARGETDURATION:${timing.targetDuration}`,
    `#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=${seconds(3 * timing.partTarget, 3)},HOLD-BACK=${3 * timing.targetDuration},CAN-SKIP-UNTIL=${skipUntil(timing)}`,
    `#EXT-X-PART-INF:PART-TARGET=${seconds(timing.partTarget, 3)}`,
    `#EXT-X-MEDIA-SEQUENCE:${listed[0]?.msn ?? window.next.msn}`,
    `#EXT-X-DISCONTINUITY-SEQUENCE:${window.discontinuitySequence}`,
  ];
  const boundary = skipUntil(timing) * CLOCK_RATE;
  const skipped =
    options.skip && !window.ended ? listed.filter((_, index) => age(listed, index) >= boundary).length : 0;
  if (skipped > 0) lines.push(`#EXT-X-SKIP:SKIPPED-SEGMENTS=${skipped}`);
  for (const [index, segment] of listed.entries()) {
    if (index < skipped) continue;
    if (segment.discontinuity) lines.push('#EXT-X-DISCONTINUITY');
    if (index === skipped || segment.initMsn !== listed[index - 1]!.initMsn) {
      lines.push(`#EXT-X-MAP:URI="${link(uris.init(segment.initMsn))}"`);
    }
    lines.push(`#EXT-X-PROGRAM-DATE-TIME:${new Date(Math.round(segment.pts / 90)).toISOString()}`);
    // Parts are of use near the live edge only: three target durations (rfc8216bis §6.2.2).
    if (age(listed, index) < 3 * timing.targetDuration * CLOCK_RATE) lines.push(...partLines(segment, link));
    if (segment.data) lines.push(`#EXTINF:${seconds(segment.duration)},`, link(uris.segment(segment.msn)));
  }
  if (window.ended) lines.push('#EXT-X-ENDLIST');
  else {
    const { msn, part } = window.next;
    lines.push(`#EXT-X-PRELOAD-HINT:TYPE=PART,URI="${link(uris.part(msn, part))}"`);
    for (const { uri, lastMsn, lastPart } of options.reports) {
      lines.push(`#EXT-X-RENDITION-REPORT:URI="${link(uri)}",LAST-MSN=${lastMsn},LAST-PART=${lastPart}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

export interface MultivariantOptions {
  window: MediaWindow;
  /** Of the media playlist, relative to this one. */
  uri: string;
}

/** The multivariant playlist: one variant, described from the media made so far. Needs one part at least. */
export function renderMultivariantPlaylist({ window, uri }: MultivariantOptions): string {
  const listed = window.listed;
  const { codecs, width, height } = listed.at(-1)!.init;
  const attributes = [
    `BANDWIDTH=${peakBandwidth(listed)}`,
    `CODECS="${codecs}"`,
    `RESOLUTION=${width}x${height}`,
    `FRAME-RATE=${(CLOCK_RATE / window.timing.frame).toFixed(3)}`,
  ];
  return `#EXTM3U\n#EXT-X-VERSION:9\n#EXT-X-STREAM-INF:${attributes.join(',')}\n${uri}\n`;
}

function partLines({ msn, parts }: Segment, link: (uri: string) => string): string[] {
  return parts.map(({ duration, independent }, index) => {
    const tail = independent ? ',INDEPENDENT=YES' : '';
    return `#EXT-X-PART:DURATION=${seconds(duration)},URI="${link(uris.part(msn, index))}"${tail}`;
  });
}

/** Ticks from the end of a segment to the end of the playlist. */
function age(listed: Segment[], index: number): number {
  return listed.slice(index + 1).reduce((sum, { duration }) => sum + duration, 0);
}

/** Bits per second of the fattest segment in sight, and a quarter more for those to come. */
function peakBandwidth(listed: Segment[]): number {
  const rates = listed.map(({ parts, duration }) => {
    const bytes = parts.reduce((sum, { data }) => sum + data.length, 0);
    return (bytes * 8 * CLOCK_RATE) / duration;
  });
  return Math.ceil(Math.max(...rates) * 1.25);
}

function seconds(ticks: number, digits = 5): string {
  return (ticks / CLOCK_RATE).toFixed(digits);
}
