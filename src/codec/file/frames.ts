import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ClearwayError } from '../../contracts/errors.ts';
import { MAX_PIXELS } from '../decoder-arguments.ts';
import { ffmpegArguments, ffmpegPath } from '../ffmpeg.ts';
import { spawnFfmpeg } from '../ffmpeg-child.ts';
import { readLines } from '../lines.ts';
import { yieldPriority } from './decoder.ts';
import { FILE_ONLY, ffprobePath, fileUrl } from './opening.ts';

/** How long one look into a file may take, ms. */
const TIMEOUT = 20_000;
/** Text of the times of a million frames. */
const MOST_TEXT = 32 << 20;
/** Children that decode single pictures at a time; others wait. */
const AT_A_TIME = 2;
/** A frame is the wanted one when its time is so close, s: half of what containers of millisecond ticks are exact to. */
const TOLERANCE = 0.0006;
/**
 * Seconds before the wanted time that decoding begins: where seeking is exact, at its keyframe; containers without
 * an index may lead to a later one, and then earlier beginnings are tried.
 */
const BACK = [0, 4, 30, Number.POSITIVE_INFINITY];

/**
 * Times of the frames of a restored file, in seconds from its start and in order of display. What Clearway wrote has
 * one packet a frame, so nothing is decoded.
 */
export async function frameTimes(result: string, signal?: AbortSignal): Promise<number[]> {
  const args = [
    ...['-v', 'error', ...FILE_ONLY, '-select_streams', 'v:0'],
    ...['-show_entries', 'packet=pts_time,flags:format=start_time', '-of', 'csv', fileUrl(result)],
  ];
  const { stdout } = await promisify(execFile)(ffprobePath(), args, {
    timeout: TIMEOUT,
    killSignal: 'SIGKILL',
    maxBuffer: MOST_TEXT,
    ...(signal ? { signal } : {}),
  });
  const times: number[] = [];
  let start = 0;
  for (const line of stdout.split('\n')) {
    const [kind, time, flags = ''] = line.split(',');
    if (kind === 'format') start = Number(time) || 0;
    else if (kind === 'packet' && !flags.includes('D')) times.push(Number(time));
  }
  return times.sort((a, b) => a - b).map((time) => time - start);
}

const turns: (() => void)[] = [];
let decoding = 0;

/**
 * The picture that a video shows at a time of `frameTimes`, upright, as a JPEG: of the restored file or of the file
 * it was made from, whose frames have the same times. Decodes from the keyframe before it.
 * Throws CLEARWAY_SOURCE_NOT_VIDEO when there is no such picture or finding it takes longer than 20 s.
 * @param seconds from the start of the file
 * @param within ms it may take once it has its turn
 */
export async function frameJpeg(
  path: string,
  seconds: number,
  signal?: AbortSignal,
  within = TIMEOUT,
): Promise<Uint8Array> {
  while (decoding >= AT_A_TIME) await new Promise<void>((turn) => turns.push(turn));
  decoding++;
  const limit = AbortSignal.any([AbortSignal.timeout(within), ...(signal ? [signal] : [])]);
  try {
    for (const back of BACK) {
      if (limit.aborted) break;
      const { jpeg, exact } = await decode(path, seconds, back, limit);
      if (jpeg && (exact || back > seconds)) return jpeg;
      if (back > seconds) break;
    }
    signal?.throwIfAborted();
    throw new ClearwayError(
      'CLEARWAY_SOURCE_NOT_VIDEO',
      `The picture at ${seconds.toFixed(3)} s could not be decoded.`,
      { status: 422 },
    );
  } finally {
    decoding--;
    turns.shift()?.();
  }
}

async function decode(path: string, seconds: number, back: number, signal: AbortSignal) {
  const sought = Math.max(0, seconds - (back || TOLERANCE));
  await using child = spawnFfmpeg(ffmpegPath(), pictureArguments(path, seconds, sought), 1);
  yieldPriority(child);
  const stop = () => void child.stop();
  signal.addEventListener('abort', stop);
  let shown: number | undefined;
  // Times count from the place that was sought.
  readLines(child.stderr, (line) => {
    const [, time] = / pts_time:\s*(-?[\d.]+)/.exec(line) ?? [];
    if (time !== undefined) shown ??= Number(time) + sought;
  });
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of child.pipes[0] as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  await child.closed;
  signal.removeEventListener('abort', stop);
  const exact = shown !== undefined && Math.abs(shown - seconds) <= TOLERANCE;
  return { jpeg: chunks.length > 0 && !signal.aborted ? Buffer.concat(chunks) : undefined, exact };
}

function pictureArguments(path: string, seconds: number, sought: number): string[] {
  const filter = [
    `select=gte(t\\,${(seconds - sought - TOLERANCE).toFixed(6)})`,
    'showinfo=checksum=0',
    'scale=out_range=pc:out_color_matrix=bt601',
    'format=yuvj420p',
  ].join(',');
  return ffmpegArguments(
    ['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+info'],
    [
      {
        url: fileUrl(path),
        options: [...FILE_ONLY, '-max_pixels', String(MAX_PIXELS), '-ss', sought.toFixed(6)],
      },
    ],
    [
      {
        url: 'pipe:3',
        options: [
          ...['-map', '0:V:0', '-filter:v', filter, '-frames:v', '1', '-fps_mode', 'passthrough'],
          ...['-c:v', 'mjpeg', '-q:v', '2', '-f', 'mjpeg'],
        ],
      },
    ],
  );
}
