import { constants, setPriority } from 'node:os';
import { ClearwayError } from '../../contracts/errors.ts';
import { MAX_PIXELS } from '../decoder-arguments.ts';
import { parseLogLine } from '../decoder-log.ts';
import { ffmpegArguments, ffmpegPath } from '../ffmpeg.ts';
import { type FfmpegChild, spawnFfmpeg } from '../ffmpeg-child.ts';
import { readLines } from '../lines.ts';
import { FILE_ONLY, fileUrl } from './opening.ts';
import type { VideoProbe } from './probe.ts';
import { HANGS_AFTER, Watchdog } from './watchdog.ts';

/** Threads that decode: each holds a picture. */
const THREADS = '4';
/** Frames a second when the file does not say. */
export const ASSUMED_FPS = 25;

export interface FilePicture {
  /** Planar I420, limited range: width * height * 3 / 2 bytes, a buffer from `allocate`. */
  data: ArrayBuffer;
  /** In ticks of the video track's time base; strictly increasing. */
  pts: number;
}

export interface FileDecoderOptions {
  /** Size the pictures are brought to; both even. */
  width: number;
  height: number;
  allocate(): ArrayBuffer;
}

/** Gives way to whatever else the machine does: live streams come first. */
export function yieldPriority({ pid }: FfmpegChild): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, constants.priority.PRIORITY_LOW);
  } catch {
    // It is gone already, or the system does not let us: it only runs at the usual priority then.
  }
}

/** Decodes the video of a file in an ffmpeg child, picture by picture, as fast as they are taken. */
export class FileDecoder implements AsyncDisposable {
  private readonly child: FfmpegChild;
  private readonly options: FileDecoderOptions;
  /** PTS of the pictures that are not read yet. */
  private readonly announced: (number | undefined)[] = [];
  /** Whether any picture was announced. */
  private announces = false;
  private wake: () => void = () => {};
  private last: number | undefined;
  /** Ticks from one picture to the next, lately. */
  private step: number;
  private failed = false;
  /** No more pictures will be announced. */
  private silent = false;
  private readonly watchdog: Watchdog;
  private hung = false;

  constructor(path: string, probe: VideoProbe, options: FileDecoderOptions) {
    this.options = options;
    const { timeBase, fps = ASSUMED_FPS } = probe.video;
    this.step = Math.max(1, Math.round(timeBase[1] / timeBase[0] / fps));
    this.child = spawnFfmpeg(ffmpegPath(), decoderArguments(path, probe, options), 1);
    yieldPriority(this.child);
    readLines(this.child.stderr, (line) => {
      for (const event of parseLogLine(line)) {
        if (event.t !== 'frame') continue;
        this.announced.push(event.pts);
        this.announces = true;
      }
      this.failed ||= /\[(error|fatal|panic)\]/.test(line);
      this.wake();
    });
    // Whoever reads is told.
    this.child.pipes[0]!.on('error', () => {});
    this.watchdog = new Watchdog(this.child.pid, () => this.giveUp());
    void this.child.closed.then(() => this.watchdog.stop());
    // The child closes only once its pictures are read, too.
    this.child.stderr.once('close', () => {
      this.silent = true;
      this.wake();
    });
  }

  /**
   * The pictures in order of display. Ends where the file does, or where it cannot be read any further. Throws
   * CLEARWAY_FFMPEG_MISSING, also when it does not say when pictures are shown, CLEARWAY_SOURCE_ENDED (retryable) when
   * the child was killed, or CLEARWAY_SOURCE_STALLED (retryable) when it hangs.
   */
  async *pictures(): AsyncGenerator<FilePicture, void, void> {
    const bytes = (this.options.width * this.options.height * 3) / 2;
    let data: ArrayBuffer | undefined;
    let filled = 0;
    this.watchdog.waiting = true;
    for await (const chunk of this.child.pipes[0] as AsyncIterable<Buffer>) {
      for (let at = 0; at < chunk.length; ) {
        data ??= this.options.allocate();
        const part = chunk.subarray(at, at + bytes - filled);
        new Uint8Array(data).set(part, filled);
        at += part.length;
        filled += part.length;
        if (filled < bytes) continue;
        const picture = { data, pts: await this.nextPts() };
        this.watchdog.waiting = false;
        yield picture;
        this.watchdog.waiting = true;
        data = undefined;
        filled = 0;
      }
    }
    const { error, signal } = await this.child.closed;
    if (error) {
      throw new ClearwayError(
        'CLEARWAY_FFMPEG_MISSING',
        'ffmpeg could not be started: install ffmpeg 5.1 or later or set FFMPEG_PATH.',
        { cause: error },
      );
    }
    if (signal) {
      throw new ClearwayError('CLEARWAY_SOURCE_ENDED', `The decoder of the file was killed by ${signal}.`, {
        retryable: true,
      });
    }
  }

  /** Whether some of the file could not be read: it is damaged, or cut off. */
  get damaged(): Promise<boolean> {
    return this.child.closed.then(({ code }) => code !== 0 || this.failed);
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  private giveUp(): void {
    this.hung = true;
    this.wake();
    this.child.pipes[0]!.destroy(stalled());
  }

  /** The log line of a picture may be read after the picture. */
  private async nextPts(): Promise<number> {
    while (this.announced.length === 0 && !this.silent && !this.hung) {
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
    }
    // One whose line was lost gets a time all the same.
    if (!this.announces) throw unannounced();
    if (this.hung) throw stalled();
    const announced = this.announced.shift();
    const { last } = this;
    const earliest = last === undefined ? Number.NEGATIVE_INFINITY : last + 1;
    const expected = last === undefined ? 0 : last + this.step;
    const pts = Math.max(earliest, announced ?? expected);
    if (last !== undefined) this.step = pts - last;
    this.last = pts;
    return pts;
  }
}

function stalled(): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_SOURCE_STALLED',
    `The decoder of the file did nothing for ${HANGS_AFTER} s: look whether the disk that holds the file answers; if it does, this ffmpeg hangs on the file.`,
    { retryable: true },
  );
}

function unannounced(): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_FFMPEG_MISSING',
    'This ffmpeg does not say when the pictures of the file are shown: install a release, 5.1 or later, or set FFMPEG_PATH.',
  );
}

function decoderArguments(
  path: string,
  { video }: VideoProbe,
  { width, height }: FileDecoderOptions,
): string[] {
  const [numerator, denominator] = video.timeBase;
  // Colour without a matrix of its own (RGB, palettes) gets that of the models.
  const matrix = isRgb(video.pixelFormat) ? ':out_color_matrix=bt709' : '';
  const filter = [
    ...(video.interlaced ? ['bwdif=mode=send_frame'] : []),
    'crop=w=trunc(iw/2)*2:h=trunc(ih/2)*2',
    `scale=w=${width}:h=${height}:flags=bicubic:out_range=tv${matrix}`,
    'format=yuv420p',
    `settb=${numerator}/${denominator}`,
    'sidedata=delete',
    // By this name, since no other filter's lines announce pictures (decoder-log.ts).
    'showinfo@frame=checksum=0',
  ].join(',');
  const input = [
    ...FILE_ONLY,
    ...[
      '-threads',
      THREADS,
      '-max_pixels',
      String(MAX_PIXELS),
      '-probesize',
      '20000000',
      '-analyzeduration',
      '10000000',
    ],
  ];
  const output = [
    ...['-map', `0:${video.index}`, '-map_metadata', '-1', '-fps_mode', 'passthrough'],
    ...['-enc_time_base', `${numerator}/${denominator}`, '-filter:v', filter],
    ...['-c:v', 'rawvideo', '-f', 'rawvideo'],
  ];
  return ffmpegArguments(
    // Times as the file has them: the other tracks keep theirs.
    ['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+info', '-copyts'],
    [{ url: fileUrl(path), options: input }],
    [{ url: 'pipe:3', options: output }],
  );
}

/** Whether a pixel format of ffmpeg's holds red, green and blue. */
export function isRgb(pixelFormat: string): boolean {
  return /^(pal8|0?(rgb|bgr)|gbr|argb|abgr|x2rgb|x2bgr)/.test(pixelFormat);
}
