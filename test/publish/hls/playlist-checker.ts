import assert from 'node:assert/strict';

export interface ParsedPart {
  duration: number;
  uri: string;
  independent: boolean;
}

export interface ParsedSegment {
  msn: number;
  /** Absent while only parts of it are there. */
  duration: number | undefined;
  uri: string | undefined;
  map: string | undefined;
  programDateTime: number | undefined;
  discontinuity: boolean;
  parts: ParsedPart[];
}

export interface ParsedPlaylist {
  targetDuration: number;
  partTarget: number;
  partHoldBack: number;
  holdBack: number;
  canSkipUntil: number;
  mediaSequence: number;
  discontinuitySequence: number;
  skipped: number;
  segments: ParsedSegment[];
  hint: string | undefined;
  reports: Record<string, string>[];
  ended: boolean;
}

/** Reads a media playlist; a tag or attribute that Clearway has no reason to send fails. */
export function parsePlaylist(text: string): ParsedPlaylist {
  assert.ok(text.startsWith('#EXTM3U\n') && text.endsWith('\n'));
  const single = new Map<string, string>();
  const reports: Record<string, string>[] = [];
  const segments: ParsedSegment[] = [];
  let map: string | undefined;
  let hint: string | undefined;
  let duration: number | undefined;
  let open = blank();
  function blank(): ParsedSegment {
    return {
      msn: -1,
      duration: undefined,
      uri: undefined,
      map: undefined,
      programDateTime: undefined,
      discontinuity: false,
      parts: [],
    };
  }
  for (const line of text.trimEnd().split('\n').slice(1)) {
    const [, tag, rest = ''] = /^#(EXT[A-Z-]*):?(.*)$/.exec(line) ?? [];
    assert.equal(hint !== undefined && tag !== 'EXT-X-RENDITION-REPORT', false, `${line} after the hint`);
    switch (tag) {
      case undefined:
        assert.ok(!line.startsWith('#') && duration !== undefined, `stray line ${line}`);
        segments.push({ ...open, duration, uri: line });
        open = { ...blank(), map };
        duration = undefined;
        break;
      case 'EXTINF':
        assert.match(rest, /^\d+\.\d+,$/);
        duration = Number.parseFloat(rest);
        break;
      case 'EXT-X-MAP':
        map = attributes(rest).URI!;
        open.map = map;
        break;
      case 'EXT-X-DISCONTINUITY':
        assert.equal(open.parts.length, 0, 'DISCONTINUITY comes before the parts of its segment');
        open.discontinuity = true;
        break;
      case 'EXT-X-PROGRAM-DATE-TIME':
        open.programDateTime = Date.parse(rest);
        assert.ok(open.programDateTime > 0);
        break;
      case 'EXT-X-PART': {
        const { DURATION, URI, INDEPENDENT, ...others } = attributes(rest);
        assert.deepEqual(others, {});
        open.parts.push({ duration: Number(DURATION), uri: URI!, independent: INDEPENDENT === 'YES' });
        break;
      }
      case 'EXT-X-PRELOAD-HINT': {
        const { TYPE, URI, ...others } = attributes(rest);
        assert.deepEqual(others, {});
        assert.equal(TYPE, 'PART');
        hint = URI!;
        break;
      }
      case 'EXT-X-RENDITION-REPORT':
        reports.push(attributes(rest));
        break;
      default:
        assert.match(
          tag,
          /^EXT-X-(VERSION|TARGETDURATION|SERVER-CONTROL|PART-INF|MEDIA-SEQUENCE|DISCONTINUITY-SEQUENCE|SKIP|ENDLIST)$/,
        );
        assert.ok(!single.has(tag), `${tag} twice`);
        single.set(tag, rest);
    }
  }
  if (open.parts.length > 0) segments.push(open);
  const control = attributes(single.get('EXT-X-SERVER-CONTROL')!);
  assert.equal(control['CAN-BLOCK-RELOAD'], 'YES');
  assert.ok(Number(single.get('EXT-X-VERSION')) >= 9);
  const mediaSequence = Number(single.get('EXT-X-MEDIA-SEQUENCE'));
  const skip = single.get('EXT-X-SKIP');
  const skipped = skip === undefined ? 0 : Number(attributes(skip)['SKIPPED-SEGMENTS']);
  segments.forEach((segment, index) => {
    segment.msn = mediaSequence + skipped + index;
  });
  return {
    targetDuration: Number(single.get('EXT-X-TARGETDURATION')),
    partTarget: Number(attributes(single.get('EXT-X-PART-INF')!)['PART-TARGET']),
    partHoldBack: Number(control['PART-HOLD-BACK']),
    holdBack: Number(control['HOLD-BACK']),
    canSkipUntil: Number(control['CAN-SKIP-UNTIL']),
    mediaSequence,
    discontinuitySequence: Number(single.get('EXT-X-DISCONTINUITY-SEQUENCE')),
    skipped,
    segments,
    hint,
    reports,
    ended: single.has('EXT-X-ENDLIST'),
  };
}

/**
 * Holds a playlist to draft-pantos-hls-rfc8216bis over all its reloads: what one reload promised, every later one must
 * keep.
 */
export class PlaylistChecker {
  reloads = 0;
  /** Every segment ever seen, by MSN, as last seen. */
  readonly segments = new Map<number, ParsedSegment>();
  readonly #discontinuities = new Map<number, number>();
  #constants: unknown;
  #last: ParsedPlaylist | undefined;
  #reachedFloor = false;

  check(text: string): ParsedPlaylist {
    const playlist = parsePlaylist(text);
    assert.equal(playlist.skipped, 0, 'a full playlist');
    this.reloads++;
    this.#checkConstants(playlist);
    this.#checkSequence(playlist);
    for (const segment of playlist.segments) this.#checkSegment(segment, playlist);
    const last = playlist.segments.at(-1);
    if (playlist.ended) assert.equal(playlist.hint, undefined);
    else if (last) {
      const next = last.uri ? `${last.msn + 1}.0.m4s` : `${last.msn}.${last.parts.length}.m4s`;
      assert.equal(playlist.hint, next, 'the hint names the part that comes next');
    }
    this.#last = playlist;
    return playlist;
  }

  #checkConstants(playlist: ParsedPlaylist): void {
    const { targetDuration, partTarget, partHoldBack, holdBack, canSkipUntil } = playlist;
    const constants = { targetDuration, partTarget, partHoldBack, holdBack, canSkipUntil };
    this.#constants ??= constants;
    assert.deepEqual(constants, this.#constants, 'what must never change');
    assert.ok(Number.isInteger(targetDuration) && targetDuration > 0);
    assert.ok(partHoldBack >= 3 * partTarget - 1e-9, 'PART-HOLD-BACK >= 3 x PART-TARGET');
    assert.ok(holdBack >= 3 * targetDuration);
    assert.ok(canSkipUntil >= 6 * targetDuration);
  }

  #checkSequence(playlist: ParsedPlaylist): void {
    const complete = playlist.segments.filter((segment) => segment.uri !== undefined);
    const total = complete.reduce((sum, { duration }) => sum + duration!, 0);
    if (this.#reachedFloor) assert.ok(total >= 3 * playlist.targetDuration - 1e-3, 'removed too much');
    this.#reachedFloor ||= total >= 3 * playlist.targetDuration;
    if (this.#last === undefined) return;
    assert.ok(playlist.mediaSequence >= this.#last.mediaSequence, 'MEDIA-SEQUENCE goes back');
    assert.ok(playlist.discontinuitySequence >= this.#last.discontinuitySequence);
    assert.ok(playlist.segments.at(-1)!.msn >= (this.#last.segments.at(-1)?.msn ?? 0));
    assert.ok(playlist.segments[0]!.msn <= this.#last.segments.at(-1)!.msn + 1, 'segments went unlisted');
  }

  #checkSegment(segment: ParsedSegment, playlist: ParsedPlaylist): void {
    const { duration, parts } = segment;
    const { partTarget, targetDuration } = playlist;
    assert.ok(segment.map && segment.programDateTime !== undefined);
    if (duration !== undefined) assert.ok(Math.round(duration) <= targetDuration, `EXTINF ${duration}`);
    for (const [index, part] of parts.entries()) {
      assert.ok(part.duration <= partTarget && part.duration > 0, `part ${part.uri} of ${part.duration}`);
      // Short may be what has a keyframe and what ends a segment; the newest part of an open one may turn out to.
      if (!part.independent && index < parts.length - 1) {
        assert.ok(part.duration >= 0.85 * partTarget - 1e-5, `part ${part.uri} of ${part.duration}`);
      }
    }
    if (parts.length > 0 && duration !== undefined) {
      const sum = parts.reduce((total, part) => total + part.duration, 0);
      assert.ok(Math.abs(sum - duration) < 1e-4 * parts.length, `parts ${sum}, segment ${duration}`);
    }
    this.#checkUnchanged(segment, playlist);
  }

  #checkUnchanged(segment: ParsedSegment, playlist: ParsedPlaylist): void {
    const { msn } = segment;
    const through = playlist.segments.filter((other) => other.msn <= msn && other.discontinuity).length;
    const number = playlist.discontinuitySequence + through;
    assert.equal(number, this.#discontinuities.get(msn) ?? number, 'discontinuity sequence number moved');
    this.#discontinuities.set(msn, number);
    const before = this.segments.get(msn);
    if (before !== undefined) {
      const { parts, duration, uri, ...same } = segment;
      const { parts: known, duration: knownDuration, uri: knownUri, ...rest } = before;
      assert.deepEqual(same, rest, 'a segment changed');
      if (knownUri !== undefined)
        assert.deepEqual({ duration, uri }, { duration: knownDuration, uri: knownUri });
      if (parts.length > 0) assert.deepEqual(parts.slice(0, known.length), known, 'parts changed');
      if (parts.length === 0) segment.parts = known;
    }
    this.segments.set(msn, segment);
  }
}

function attributes(list: string): Record<string, string> {
  const found = [...list.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^",]+)(?:,|$)/g)];
  assert.equal(found.map(([whole]) => whole).join(''), list, `attribute list ${list}`);
  return Object.fromEntries(found.map(([, name, value]) => [name!, value!.replaceAll('"', '')]));
}
