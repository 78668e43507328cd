/** What one line of a decoder child's log says, as far as it matters here. */
export type LogEvent =
  | { t: 'frame'; pts: number | undefined; width: number; height: number }
  | { t: 'audio'; pts: number | undefined; samples: number }
  /** The picture as the source sends it; again when it changes. */
  | { t: 'size'; width: number; height: number }
  | { t: 'format'; name: string }
  | { t: 'video'; codec: string; fps: number }
  | { t: 'audioTrack'; codec: string }
  /** All that the source says of itself has been printed. */
  | { t: 'mapping' }
  | { t: 'problem'; text: string };

/**
 * Lines that one of the filters began; ffmpeg 6.0 leaves their kind out of their names. Others hold what the source
 * chose, the names of HLS segments for one.
 */
const ANNOUNCING = /^\[(?:a?showinfo@)?(?:frame|audio) @ \w+\] /;
/** The rest of such a line after the console's line break. */
const CUT_OFF = /^(?:\[info\] )?n: *\d+ pts:/;
/**
 * Not anchored to the filter's name: both filters write a line in pieces, and from ffmpeg 7 on, where each runs in a
 * thread of its own, one's piece can follow the other's on the same line, without its name and without a space.
 */
const FRAME =
  /n: *\d+ pts: *(NOPTS|-?\d+) pts_time:(?:(?! n:).)* fmt:yuv420p (?:(?! n:).)*s:(\d{1,4})x(\d{1,4}) i:/;
const AUDIO = /n:\d+ pts:(NOPTS|-?\d+) pts_time:(?:(?! n:).)* fmt:s16 (?:(?! n:).)*nb_samples:(\d{1,6}) /;
const SIZE = /^\[(?:crop@)?source @ \w+\] \[verbose\] w:(\d+) h:(\d+) .*->/;
const FORMAT = /^\[info\] Input #0, ([^ ]+), from /;
const TRACK = /^\[info\] +Stream #0:\d+\S*: (Video|Audio): (\w+)(.*)$/;
const MAPPING = /^\[info\] Stream mapping:$/;
/** Not those of the tee output, which complains where a source has no audio. */
const PROBLEM = /^(?:\[(?!tee|s16le|mp4)[^\]]* @ \w+\] )*\[(?:warning|error|fatal|panic)\] (.*)$/;

/**
 * Reads one line of ffmpeg's log (`-loglevel repeat+level+verbose`).
 * @param commanded ffmpeg was sent a command: what its console prints can cut a line in two
 */
export function parseLogLine(line: string, commanded = false): LogEvent[] {
  if (!ANNOUNCING.test(line) && !(commanded && CUT_OFF.test(line))) {
    const other = parseOther(line);
    return other ? [other] : [];
  }
  const events: LogEvent[] = [];
  const frame = FRAME.exec(line);
  if (frame) {
    events.push({ t: 'frame', pts: ticks(frame[1]!), width: Number(frame[2]), height: Number(frame[3]) });
  }
  const audio = AUDIO.exec(line);
  if (audio) events.push({ t: 'audio', pts: ticks(audio[1]!), samples: Number(audio[2]) });
  return events;
}

function parseOther(line: string): LogEvent | undefined {
  const size = SIZE.exec(line);
  if (size) return { t: 'size', width: Number(size[1]), height: Number(size[2]) };
  const format = FORMAT.exec(line);
  if (format) return { t: 'format', name: format[1]! };
  const track = TRACK.exec(line);
  if (track?.[1] === 'Video') {
    return { t: 'video', codec: track[2]!, fps: Number(/ ([\d.]+) fps\b/.exec(track[3]!)?.[1] ?? 0) };
  }
  if (track) return { t: 'audioTrack', codec: track[2]! };
  if (MAPPING.test(line)) return { t: 'mapping' };
  const problem = PROBLEM.exec(line);
  return problem ? { t: 'problem', text: problem[1]! } : undefined;
}

/** One packet of ffmpeg's framecrc format, times in ticks of its `#tb` line. */
export interface PacketLine {
  pts: number | undefined;
  size: number;
  /** It carries a producer reference time. */
  timed?: true;
}

const PACKET = /^0, *(?:NOPTS|-?\d+), *(NOPTS|-?\d+), *\d+, *(\d+),/;
/** Side data of the size of libavutil's AVProducerReferenceTime. */
const TIMED = /, S=\d+,(?:.*,)? *16(?:,|$)/;
const TIME_BASE = /^#tb 0: (\d+)\/(\d+)$/;

/** Seconds a tick, from a framecrc header line. */
export function parseTimeBase(line: string): number | undefined {
  const match = TIME_BASE.exec(line);
  return match ? Number(match[1]) / Number(match[2]) : undefined;
}

export function parsePacketLine(line: string): PacketLine | undefined {
  const match = PACKET.exec(line);
  if (!match) return undefined;
  return { pts: ticks(match[1]!), size: Number(match[2]), ...(TIMED.test(line) ? { timed: true } : {}) };
}

/** ffmpeg prints a missing timestamp as NOPTS or as INT64_MIN, which no clock reaches. */
function ticks(text: string): number | undefined {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
