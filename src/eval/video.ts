import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ffmpegPath } from '../codec/ffmpeg.ts';
import { ClearwayError } from '../contracts/errors.ts';
import { pictureBytes } from '../restore/picture.ts';

/** Decoded pictures of one size: limited-range I420, one buffer a frame. */
export interface Video {
  width: number;
  height: number;
  frames: Uint8Array<ArrayBuffer>[];
  /** Processor time that decoding and filtering took, all threads together, ms. */
  cpu: number;
}

/** More decoded video than this at once is refused, bytes. */
const MOST = 1 << 30;

/** Runs ffmpeg to its end and gives what it wrote. Throws CLEARWAY_BAD_REQUEST with its last words. */
export async function runFfmpeg(args: string[]): Promise<{ stdout: Buffer; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(
      ffmpegPath(),
      ['-nostdin', '-v', 'error', '-y', ...args],
      {
        encoding: 'buffer',
        maxBuffer: MOST,
      },
    );
    return { stdout, stderr: stderr.toString() };
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: Buffer; message: string };
    const lines = (stderr?.toString() ?? '')
      .split('\n')
      .filter((line) => line && !line.startsWith('bench: '));
    throw new ClearwayError(
      'CLEARWAY_BAD_REQUEST',
      `ffmpeg ${args.join(' ')} failed: ${lines.at(-1) ?? message}`,
      { status: 400, cause },
    );
  }
}

/** Decodes a file, through ffmpeg `filters` if given (a filter graph as for -vf). */
export async function readVideo(path: string, filters = 'null'): Promise<Video> {
  const args = ['-v', 'info', '-benchmark', '-threads', '2', '-filter_threads', '2', '-i', path];
  const output = ['-vf', filters, '-pix_fmt', 'yuv420p', '-f', 'yuv4mpegpipe', '-'];
  const { stdout, stderr } = await runFfmpeg([...args, ...output]);
  const [, user, system] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(stderr) ?? [];
  return { ...parseY4m(stdout, path), cpu: (Number(user) + Number(system)) * 1000 };
}

/** Reads YUV4MPEG2 of 4:2:0 (yuv4mpeg(5), mjpegtools): a header line, then FRAME lines with their pictures. */
function parseY4m(data: Buffer, path: string): Omit<Video, 'cpu'> {
  const end = data.indexOf('\n');
  const [, width, height] = /^YUV4MPEG2 W(\d+) H(\d+) /.exec(data.toString('latin1', 0, end)) ?? [];
  const video: Omit<Video, 'cpu'> = { width: Number(width), height: Number(height), frames: [] };
  if (!width || video.width % 2 || video.height % 2) {
    throw new ClearwayError('CLEARWAY_PICTURE_SIZE', `${path}: use clips of even width and height.`, {
      status: 400,
    });
  }
  const bytes = pictureBytes(video.width, video.height);
  for (let at = end + 1; at < data.length; at += bytes) {
    at = data.indexOf('\n', at) + 1;
    video.frames.push(Uint8Array.from(data.subarray(at, at + bytes)));
  }
  return video;
}

/** A video as YUV4MPEG2, for ffmpeg to read. */
export function toY4m({ width, height, frames }: Omit<Video, 'cpu'>): Buffer {
  const header = Buffer.from(`YUV4MPEG2 W${width} H${height} F25:1 Ip A1:1 C420jpeg XCOLORRANGE=LIMITED\n`);
  return Buffer.concat([header, ...frames.flatMap((frame) => [Buffer.from('FRAME\n'), frame])]);
}
