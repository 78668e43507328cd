import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import ffmpeg from 'fluent-ffmpeg';
import { ClearwayError } from '../contracts/errors.ts';

/** One input or output of an ffmpeg command line: its options, each an argument of its own, and its URL or file. */
export interface FfmpegPort {
  url: string;
  options: string[];
}

export interface FfmpegBinary {
  /** What to spawn, and the arguments that precede ffmpeg's own. */
  path: string;
  version: string;
}

const INSTALL =
  'install ffmpeg 5.1 or later (Debian, Ubuntu: `sudo apt-get install ffmpeg`; macOS: `brew install ffmpeg`) or set FFMPEG_PATH';

const OLDEST: readonly [number, number] = [5, 1];

/**
 * The arguments of one ffmpeg command, in ffmpeg's own order. Nothing is split, quoted or read by a shell:
 * a URL is one argument after `-i`, whatever it contains.
 */
export function ffmpegArguments(global: string[], inputs: FfmpegPort[], outputs: FfmpegPort[]): string[] {
  const command = ffmpeg();
  for (const { url, options } of inputs) {
    command.input(url);
    // More than one argument, or fluent-ffmpeg splits a string at its space.
    if (options.length > 1) command.inputOptions(...options);
  }
  for (const { url, options } of outputs) {
    command.output(url);
    if (options.length > 1) command.outputOptions(...options);
  }
  // fluent-ffmpeg's own spawn has no pipe beyond stdout, and video, packets and audio each need one.
  return [...global, ...(command as unknown as { _getArguments(): string[] })._getArguments()];
}

/** Which ffmpeg to run: `FFMPEG_PATH`, or the one on the PATH. */
export function ffmpegPath(): string {
  return process.env.FFMPEG_PATH ?? 'ffmpeg';
}

/** Finds ffmpeg and its version. Throws CLEARWAY_FFMPEG_MISSING when it is not there or too old. */
export async function checkFfmpeg(path: string = ffmpegPath()): Promise<FfmpegBinary> {
  let banner: string;
  try {
    banner = (await promisify(execFile)(path, ['-hide_banner', '-version'], { timeout: 20_000 })).stdout;
  } catch (cause) {
    throw new ClearwayError('CLEARWAY_FFMPEG_MISSING', `ffmpeg does not run as \`${path}\`: ${INSTALL}`, {
      cause,
    });
  }
  const version = /^ffmpeg version (\S+)/.exec(banner)?.[1] ?? 'unknown';
  // A build from git has no release number ("N-118000-g..."): taken to be recent.
  const release = /^n?(\d+)\.(\d+)/.exec(version);
  if (release) {
    const [major, minor] = [Number(release[1]), Number(release[2])];
    if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
      throw new ClearwayError('CLEARWAY_FFMPEG_MISSING', `ffmpeg ${version} is too old: ${INSTALL}`);
    }
  }
  return { path, version };
}

const verifying = new Map<string, boolean>();

/** Whether this ffmpeg checks TLS certificates unless told otherwise (5.1 does not, 9 does). Asked once a binary. */
export function verifiesTls(path: string): boolean {
  let answer = verifying.get(path);
  if (answer === undefined) {
    const { stdout } = spawnSync(path, ['-hide_banner', '-h', 'protocol=tls'], {
      encoding: 'utf8',
      timeout: 10_000,
    });
    answer = /-tls_verify .*default true/.test(stdout ?? '');
    verifying.set(path, answer);
  }
  return answer;
}
