/** What one line of a decoder child's log says, as far as it matters here. */
export type LogEvent =
  | { t: 'frame'; pts: number | undefined; width: number; height: number }
  | { t: 'audio'; pts: number | undefined; samples: number }
  /** The picture as the source sends it; again when it changes. */
  | { t: 'size'; width: number; height: number }
  | { t: 'format'; name: string }
  | { t: 'video'; codec: string; fps: number }
  | { t: 'audioTrack'; codec: string }
  | { t: 'problem'; text: string };

const FRAME = /^\[showinfo@frame @ \w+\] \[info\] n: *\d+ pts: *(NOPTS|-?\d+) .*? s:(\d+)x(\d+) /;
const AUDIO = /^\[ashowinfo@audio @ \w+\] \[info\] n:\d+ pts:(NOPTS|-?\d+) .*? nb_samples:(\d+) /;
const SIZE = /^\[crop@source @ \w+\] \[verbose\] w:(\d+) h:(\d+) .*->/;
const FORMAT = /^\[info\] Input #0, ([^ ]+), from /;
const TRACK = /^\[info\] +Stream #0:\d+\S*: (Video|Audio): (\w+)(.*)$/;
/** Not those of the tee output, which complains where a source has no audio. */
const PROBLEM = /^(?:\[(?!tee|s16le)[^\]]* @ \w+\] )*\[(?:warning|error|fatal|panic)\] (.*)$/;

/**
 * Reads one line of ffmpeg's log (`-loglevel repeat+level+verbose`). `input` says whether the line stands in the
 * description of the input: the outputs' tracks are printed alike.
 */
export function parseLogLine(line: string): LogEvent | undefined {
  const frame = FRAME.exec(line);
  if (frame) return { t: 'frame', pts: ticks(frame[1]!), width: Number(frame[2]), height: Number(frame[3]) };
  const audio = AUDIO.exec(line);
  if (audio) return { t: 'audio', pts: ticks(audio[1]!), samples: Number(audio[2]) };
  const size = SIZE.exec(line);
  if (size) return { t: 'size', width: Number(size[1]), height: Number(size[2]) };
  const format = FORMAT.exec(line);
  if (format) return { t: 'format', name: format[1]! };
  const track = TRACK.exec(line);
  if (track?.[1] === 'Video') {
    return { t: 'video', codec: track[2]!, fps: Number(/ ([\d.]+) fps\b/.exec(track[3]!)?.[1] ?? 0) };
  }
  if (track) return { t: 'audioTrack', codec: track[2]! };
  const problem = PROBLEM.exec(line);
  if (problem) return { t: 'problem', text: problem[1]! };
  return undefined;
}

/** One packet of ffmpeg's framecrc format, times in ticks of its `#tb` line. */
export interface PacketLine {
  pts: number | undefined;
  size: number;
}

const PACKET = /^0, *(?:NOPTS|-?\d+), *(NOPTS|-?\d+), *\d+, *(\d+),/;
const TIME_BASE = /^#tb 0: (\d+)\/(\d+)$/;

/** Seconds a tick, from a framecrc header line. */
export function parseTimeBase(line: string): number | undefined {
  const match = TIME_BASE.exec(line);
  return match ? Number(match[1]) / Number(match[2]) : undefined;
}

export function parsePacketLine(line: string): PacketLine | undefined {
  const match = PACKET.exec(line);
  return match ? { pts: ticks(match[1]!), size: Number(match[2]) } : undefined;
}

/** ffmpeg prints a missing timestamp as NOPTS or as INT64_MIN, which no clock reaches. */
function ticks(text: string): number | undefined {
  const value = Number(text);
  return Number.isSafeInteger(value) ? value : undefined;
}
