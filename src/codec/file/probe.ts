import { execFile } from 'node:child_process';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { z } from 'zod';
import { ClearwayError } from '../../contracts/errors.ts';
import { MAX_PIXELS } from '../decoder-arguments.ts';
import { FILE_ONLY, ffprobePath, fileUrl } from './opening.ts';
import { MAX_SIDE } from './size.ts';

const PROBE_TIMEOUT = 30_000;
/** Output of ffprobe beyond this is no honest file's. */
const PROBE_OUTPUT = 8 << 20;
/** Transfer functions of high dynamic range: PQ (SMPTE ST 2084) and HLG (ARIB STD-B67). */
const HDR = new Set(['smpte2084', 'arib-std-b67']);

/** ffmpeg's own words for a picture that it does not decode. */
const OVERSIZE = /Picture size \d+x\d+ (?:is invalid|exceeds)|exceeds specified max pixel count/i;

const text = z.string().max(200);
const stream = z.object({
  index: z.number().int(),
  codec_type: text.optional(),
  codec_name: text.optional(),
  width: z.number().optional(),
  height: z.number().optional(),
  pix_fmt: text.optional(),
  sample_aspect_ratio: text.optional(),
  avg_frame_rate: text.optional(),
  r_frame_rate: text.optional(),
  time_base: text.optional(),
  start_time: text.optional(),
  duration: text.optional(),
  nb_frames: text.optional(),
  field_order: text.optional(),
  color_range: text.optional(),
  color_space: text.optional(),
  color_transfer: text.optional(),
  color_primaries: text.optional(),
  disposition: z.object({ attached_pic: z.number().optional() }).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  side_data_list: z.array(z.looseObject({ side_data_type: z.string().optional() })).optional(),
});
const answer = z.object({
  format: z.object({
    format_name: text,
    start_time: text.optional(),
    duration: text.optional(),
  }),
  streams: z.array(stream).max(1000),
});
type Stream = z.output<typeof stream>;

/** A track other than the video that is restored. */
export interface OtherTrack {
  /** ffmpeg's stream index in the file. */
  index: number;
  kind: 'audio' | 'subtitle' | 'picture' | 'attachment' | 'data';
  codec: string;
}

export interface VideoProbe {
  /** ffmpeg's name of the container, found by content. */
  container: string;
  /** Seconds; undefined when the file does not say. */
  duration: number | undefined;
  /** Seconds at which the earliest track starts; sound that starts before 0 (a codec's priming samples) does not count. */
  start: number;
  video: {
    index: number;
    codec: string;
    /** Luma samples of the upright picture. */
    width: number;
    height: number;
    /** Shape of one sample of the upright picture, width : height. */
    sampleAspect: [number, number];
    /** Mean frames a second; undefined when unknown or absurd. */
    fps: number | undefined;
    /** Seconds a tick, as a fraction. */
    timeBase: [number, number];
    /** Frames, counted or estimated; undefined when the file does not say. */
    frames: number | undefined;
    pixelFormat: string;
    interlaced: boolean;
    /** ffmpeg's names; undefined where the file does not say. */
    color: {
      range: string | undefined;
      matrix: string | undefined;
      transfer: string | undefined;
      primaries: string | undefined;
    };
    /** ISO 639-2, three letters. */
    language: string | undefined;
  };
  others: OtherTrack[];
}

/**
 * Looks at a file by its content, without decoding more than its first pictures. Rejects with
 * CLEARWAY_SOURCE_NOT_VIDEO (no container, or one without its index: cut off), CLEARWAY_SOURCE_NO_VIDEO,
 * CLEARWAY_PICTURE_SIZE (over 8192 samples a side or 36 million in all) or CLEARWAY_SOURCE_UNSUPPORTED (HDR).
 * @param path absolute
 */
export async function probeVideo(path: string, signal?: AbortSignal): Promise<VideoProbe> {
  const { format, streams, log } = await ask(path, signal);
  const video = streams.find((one) => one.codec_type === 'video' && !one.disposition?.attached_pic);
  if (!video) {
    throw refusal('CLEARWAY_SOURCE_NO_VIDEO', 'The file has no video track: send one that has.');
  }
  const { width = 0, height = 0 } = video;
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS) {
    throw refusal(
      'CLEARWAY_PICTURE_SIZE',
      `The picture is ${width}x${height}: at most ${MAX_SIDE} a side and ${MAX_PIXELS / 1e6} megapixels are restored.`,
    );
  }
  if (width < 2 || height < 2 || !video.pix_fmt) {
    if (OVERSIZE.test(log)) throw oversize();
    throw notVideo('no picture of it could be decoded; it is damaged or of an unknown codec');
  }
  if (HDR.has(video.color_transfer ?? '') || sideData(video, 'DOVI configuration record')) {
    throw refusal(
      'CLEARWAY_SOURCE_UNSUPPORTED',
      'The video is HDR (PQ, HLG or Dolby Vision), which the models do not know: convert it to SDR (BT.709) first.',
    );
  }
  const quarterTurn = Math.abs(rotation(video)) % 180 === 90;
  const fps = rate(video.avg_frame_rate) ?? rate(video.r_frame_rate);
  const duration = seconds(format.duration) ?? seconds(video.duration);
  const aspect = ratio(video.sample_aspect_ratio, ':') ?? [1, 1];
  const frames = Number(video.nb_frames) || (duration && fps ? Math.round(duration * fps) : undefined);
  return {
    container: format.format_name,
    duration,
    start: Math.max(Number(format.start_time) || 0, Math.min(0, Number(video.start_time) || 0)),
    video: {
      index: video.index,
      codec: video.codec_name ?? 'unknown',
      width: quarterTurn ? height : width,
      height: quarterTurn ? width : height,
      sampleAspect: quarterTurn ? [aspect[1], aspect[0]] : aspect,
      fps,
      timeBase: ratio(video.time_base, '/') ?? [1, 90_000],
      frames,
      pixelFormat: video.pix_fmt,
      interlaced: /^(tt|bb|tb|bt)$/.test(video.field_order ?? ''),
      color: {
        range: known(video.color_range),
        matrix: known(video.color_space),
        transfer: known(video.color_transfer),
        primaries: known(video.color_primaries),
      },
      language: /^[a-z]{3}$/.exec(video.tags?.language ?? '')?.[0],
    },
    others: streams.filter((one) => one !== video).map(otherTrack),
  };
}

async function ask(
  path: string,
  signal: AbortSignal | undefined,
): Promise<z.output<typeof answer> & { log: string }> {
  const args = [
    ...['-v', 'error', ...FILE_ONLY, '-probesize', '20000000', '-analyzeduration', '10000000'],
    ...['-max_pixels', String(MAX_PIXELS), '-show_format', '-show_streams', '-of', 'json', fileUrl(path)],
  ];
  try {
    const { stdout, stderr } = await promisify(execFile)(ffprobePath(), args, {
      timeout: PROBE_TIMEOUT,
      killSignal: 'SIGKILL',
      maxBuffer: PROBE_OUTPUT,
      ...(signal ? { signal } : {}),
    });
    return { ...answer.parse(JSON.parse(stdout)), log: stderr };
  } catch (cause) {
    if (signal?.aborted) throw signal.reason;
    const { code, killed, stderr = '' } = cause as { code?: unknown; killed?: boolean; stderr?: string };
    if (code === 'ENOENT') {
      throw new ClearwayError(
        'CLEARWAY_FFMPEG_MISSING',
        'ffprobe does not run: install ffmpeg 5.1 or later.',
        {
          cause,
        },
      );
    }
    if (OVERSIZE.test(stderr)) throw oversize();
    if (killed) throw notVideo('reading it took too long');
    if (/moov atom not found/.test(stderr) && (await isIsoMedia(path)))
      throw notVideo('its index is missing: the file was cut off');
    throw notVideo('its content is no video container that is known here', cause);
  }
}

function oversize(): ClearwayError {
  return refusal(
    'CLEARWAY_PICTURE_SIZE',
    `The picture is larger than the ${MAX_PIXELS / 1e6} megapixels that are restored.`,
  );
}

/** Whether a file begins as MP4 and MOV do (ISO 14496-12), which ffmpeg also takes it for by its name alone. */
async function isIsoMedia(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
    return /^(ftyp|moov|mdat|free|skip|wide)$/.test(buffer.toString('latin1', 4));
  } finally {
    await file.close();
  }
}

function refusal(code: ClearwayError['code'], message: string, cause?: unknown): ClearwayError {
  return new ClearwayError(code, message, { status: 422, cause });
}

function notVideo(why: string, cause?: unknown): ClearwayError {
  return refusal('CLEARWAY_SOURCE_NOT_VIDEO', `The file cannot be read as video: ${why}.`, cause);
}

function otherTrack({ index, codec_type, codec_name = 'unknown' }: Stream): OtherTrack {
  const kinds: Record<string, OtherTrack['kind']> = {
    audio: 'audio',
    subtitle: 'subtitle',
    video: 'picture',
    attachment: 'attachment',
  };
  return { index, codec: codec_name, kind: kinds[codec_type ?? ''] ?? 'data' };
}

function sideData(of: Stream, type: string): Record<string, unknown> | undefined {
  return of.side_data_list?.find(({ side_data_type }) => side_data_type === type);
}

/** Degrees by which the picture is shown turned. */
function rotation(of: Stream): number {
  return Number(sideData(of, 'Display Matrix')?.rotation ?? of.tags?.rotate ?? 0) || 0;
}

function ratio(value: string | undefined, separator: string): [number, number] | undefined {
  const [a, b] = (value ?? '').split(separator).map(Number);
  return a && b && a > 0 && b > 0 ? [a, b] : undefined;
}

function rate(value: string | undefined): number | undefined {
  const [a, b] = ratio(value, '/') ?? [0, 1];
  const fps = a / b;
  return fps > 0 && fps <= 1000 ? fps : undefined;
}

function seconds(value: string | undefined): number | undefined {
  const number = Number(value);
  return number > 0 ? number : undefined;
}

function known(value: string | undefined): string | undefined {
  return value && /^[a-z0-9-]+$/.test(value) && !/^(unknown|unspecified|reserved)$/.test(value)
    ? value
    : undefined;
}
