import { rename, rm } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Duplex } from 'node:stream';
import { ClearwayError } from '../../contracts/errors.ts';
import { CRF, type FileSettings } from '../../contracts/file.ts';
import { ffmpegArguments, ffmpegPath } from '../ffmpeg.ts';
import { type FfmpegChild, spawnFfmpeg } from '../ffmpeg-child.ts';
import { readLines } from '../lines.ts';
import { ASSUMED_FPS, isRgb, yieldPriority } from './decoder.ts';
import { FILE_ONLY, fileUrl } from './opening.ts';
import type { VideoProbe } from './probe.ts';
import { matroskaHeader, pictureHeader } from './raw-matroska.ts';
import { CONTAINERS, type Container, planTracks } from './tracks.ts';
import { HANGS_AFTER, Watchdog } from './watchdog.ts';

const KEPT_PROBLEMS = 20;
/** Seconds between keyframes: players that seek, and those that compare frames, decode no more than this. */
const KEYFRAMES_EVERY = 2;

/** Restored pictures are clean: these keep what was restored at a moderate size. */
const CODECS: Record<FileSettings['codec'], string[]> = {
  h264: ['-c:v:0', 'libx264', '-preset', 'fast'],
  hevc: ['-c:v:0', 'libx265', '-preset', 'fast', '-x265-params', 'log-level=error'],
  av1: ['-c:v:0', 'libsvtav1', '-preset', '8'],
};

/** Colour names that ffmpeg's encoders take as ffprobe prints them. */
const COLOR = {
  colorspace: /^(bt709|fcc|bt470bg|smpte170m|smpte240m|bt2020nc)$/,
  color_primaries: /^(bt709|bt470m|bt470bg|smpte170m|smpte240m|film|bt2020|smpte432)$/,
  color_trc: /^(bt709|gamma22|gamma28|smpte170m|smpte240m|linear|iec61966-2-1|bt2020-10|bt2020-12)$/,
};

export interface FileEncoderOptions {
  input: string;
  output: string;
  probe: VideoProbe;
  settings: FileSettings;
  /** Size of the pictures given, and of those in the result. */
  given: { width: number; height: number };
  size: { width: number; height: number };
}

/** Where a result is written until it is complete. */
export function partPath(output: string): string {
  return `${output}.clearway-part`;
}

/** The container that a result's name asks for; MP4 unless it is another that is known. */
function containerOf(output: string): Container {
  const extension = extname(output).slice(1).toLowerCase();
  return CONTAINERS[extension as keyof typeof CONTAINERS] ?? 'mp4';
}

/** Throws CLEARWAY_BAD_REQUEST when the container that a result's name asks for cannot hold the codec. */
export function refuseContainer(output: string, codec: FileSettings['codec']): void {
  if (containerOf(output) === 'webm' && codec !== 'av1') {
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `WebM does not hold ${codec}: choose av1, or MP4.`, {
      status: 400,
    });
  }
}

/**
 * Encodes restored pictures and puts them together with everything else the original holds, in one ffmpeg child that
 * reads the pictures from a pipe and the rest from the original. The result is written beside its place and moved
 * there when it is complete.
 */
export class FileEncoder implements AsyncDisposable {
  readonly warnings: string[];
  private readonly options: FileEncoderOptions;
  private readonly child: FfmpegChild;
  private readonly pipe: Duplex;
  private readonly problems: string[] = [];
  private complete = false;
  /** No picture may be shown before, ns: two at one time are none for an encoder. */
  private earliest = 0n;
  /** The pipe broke: the child's end says why. */
  private broken = false;
  private readonly watchdog: Watchdog;
  private hung = false;

  constructor(options: FileEncoderOptions) {
    this.options = options;
    const { output, probe, given } = options;
    const container = containerOf(output);
    const tracks = planTracks(probe.others, container);
    this.warnings = tracks.warnings;
    this.child = spawnFfmpeg(ffmpegPath(), encoderArguments(options, container, tracks.options), 1);
    yieldPriority(this.child);
    readLines(this.child.stderr, (line) => {
      this.problems.push(line);
      if (this.problems.length > KEPT_PROBLEMS) this.problems.shift();
    });
    this.watchdog = new Watchdog(this.child.pid, () => {
      this.hung = true;
      void this.child.stop();
    });
    void this.child.closed.then(() => this.watchdog.stop());
    this.pipe = this.child.pipes[0]!;
    this.pipe.on('error', () => {
      this.broken = true;
    });
    this.pipe.resume();
    this.pipe.write(matroskaHeader(given.width, given.height, probe.video.fps ?? ASSUMED_FPS));
  }

  /**
   * Takes one picture. Resolves when its buffer is free again. Rejects with what the child died of.
   * @param pts in ticks of the video track's time base, strictly increasing
   */
  async write(picture: ArrayBuffer, pts: number): Promise<void> {
    const time = this.nanoseconds(pts);
    this.pipe.write(pictureHeader(time, picture.byteLength));
    this.watchdog.waiting = true;
    const failure = await new Promise<Error | null | undefined>((resolve) =>
      this.pipe.write(new Uint8Array(picture), resolve),
    );
    this.watchdog.waiting = false;
    if (failure || this.broken) throw await this.failure();
  }

  /** Ends the result and moves it to its place. */
  async finish(): Promise<void> {
    this.pipe.end();
    this.watchdog.waiting = true;
    const { code, error } = await this.child.closed;
    if (code !== 0 || error) throw await this.failure();
    await rename(partPath(this.options.output), this.options.output);
    this.complete = true;
  }

  async stop(): Promise<void> {
    await this.child.stop();
  }

  /** Ends the child and removes what is not complete. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (!this.complete) await rm(partPath(this.options.output), { force: true });
  }

  /** Times count from the earliest track's start, as they do in the result; none is before it. */
  private nanoseconds(pts: number): bigint {
    const { probe } = this.options;
    const [numerator, denominator] = probe.video.timeBase;
    const tick = (BigInt(numerator) * 1_000_000_000n) / BigInt(denominator);
    const time = (BigInt(pts) * BigInt(numerator) * 1_000_000_000n) / BigInt(denominator);
    const since = time - BigInt(Math.round(probe.start * 1e6)) * 1000n;
    const at = since > this.earliest ? since : this.earliest;
    this.earliest = at + tick;
    return at;
  }

  private async failure(): Promise<ClearwayError> {
    const { code, signal, error } = await this.child.closed;
    if (this.hung) {
      return new ClearwayError(
        'CLEARWAY_ENCODER_FAILED',
        `The encoder of the result did nothing for ${HANGS_AFTER} s: look whether the disk it is written to answers.`,
        { retryable: true },
      );
    }
    const log = this.problems.join('\n');
    // EFBIG and SIGXFSZ: a limit on the size of files, which is full as well.
    if (/No space left on device|Disk quota exceeded|File too large/i.test(log) || signal === 'SIGXFSZ') {
      return new ClearwayError(
        'CLEARWAY_DISK_FULL',
        `The disk is full: make room where ${this.options.output} is to be and restore the file again.`,
        { status: 507, retryable: false },
      );
    }
    if (error) {
      return new ClearwayError('CLEARWAY_FFMPEG_MISSING', 'ffmpeg could not be started to encode.', {
        cause: error,
      });
    }
    const last = this.problems.findLast((line) => /\[(error|fatal)\]/.test(line)) ?? '';
    return new ClearwayError(
      'CLEARWAY_ENCODER_FAILED',
      `The result could not be encoded (${signal ?? `ffmpeg exit code ${code}`}${last ? `: ${last}` : ''}).`,
      { retryable: signal !== null },
    );
  }
}

function encoderArguments(options: FileEncoderOptions, container: Container, tracks: string[]): string[] {
  const { input, output, probe, settings, given, size } = options;
  const { video } = probe;
  const [numerator, denominator] = video.timeBase;
  const scaled = size.width !== given.width || size.height !== given.height;
  const [sarWidth, sarHeight] = video.sampleAspect;
  const filter = [
    ...(scaled ? [`scale=w=${size.width}:h=${size.height}:flags=lanczos`] : []),
    `setsar=${sarWidth}/${sarHeight}`,
  ].join(',');
  const result = [
    ...['-map', '0:v:0', '-filter:v:0', filter, '-fps_mode', 'passthrough'],
    ...['-enc_time_base', `${numerator}/${denominator}`],
    ...['-g', String(Math.ceil(KEYFRAMES_EVERY * (video.fps ?? ASSUMED_FPS)))],
    ...[...CODECS[settings.codec], '-crf', String(settings.crf ?? CRF[settings.codec].usual)],
    ...['-pix_fmt', 'yuv420p'],
    ...colorOptions(video),
    ...(settings.codec === 'hevc' && container !== 'matroska' ? ['-tag:v:0', 'hvc1'] : []),
    ...(video.language ? ['-metadata:s:v:0', `language=${video.language}`] : []),
    ...tracks,
    ...['-map_metadata', '1', '-map_chapters', '1', '-max_muxing_queue_size', '4096'],
    ...(container === 'mp4' || container === 'mov' ? ['-movflags', '+faststart'] : []),
    ...['-f', container],
  ];
  return ffmpegArguments(
    ['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+warning', '-y', '-copyts'],
    [
      {
        url: 'pipe:3',
        options: ['-thread_queue_size', '1', '-analyzeduration', '0', '-fpsprobesize', '0', '-f', 'matroska'],
      },
      { url: fileUrl(input), options: [...FILE_ONLY, '-itsoffset', String(-probe.start)] },
    ],
    [{ url: fileUrl(partPath(output)), options: result }],
  );
}

function colorOptions({ color, pixelFormat }: VideoProbe['video']): string[] {
  const tags = {
    colorspace: isRgb(pixelFormat) ? 'bt709' : color.matrix,
    color_primaries: color.primaries,
    color_trc: color.transfer,
  };
  return [
    ...['-color_range', 'tv'],
    ...Object.entries(tags).flatMap(([name, value]) =>
      value && COLOR[name as keyof typeof COLOR].test(value) ? [`-${name}`, value] : [],
    ),
  ];
}
