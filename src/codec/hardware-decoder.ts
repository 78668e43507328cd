import { type ExecException, execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { errorInfo } from '../contracts/errors.ts';
import type { HardwareDecoder } from '../contracts/restorer.ts';
import { parentDeathPrefix } from './ffmpeg-child.ts';

/** ffmpeg's `-hwaccel` methods that hand pictures back to memory by themselves; Intel's GPUs come through VAAPI. */
const METHODS = ['cuda', 'vaapi'] as const satisfies HardwareDecoder['method'][];

export interface HardwareTrial extends HardwareDecoder {
  works: boolean;
  /** A sentence: what was checked, or what is wrong. */
  detail: string;
}

/** Of one ffmpeg, ms: a driver that hangs is one that does not work. */
const WITHIN = 10_000;

/** What ffmpeg says, as a warning or error, when a hardware decoder cannot be opened or fails on a picture. */
const TROUBLE =
  /hwaccel|hardware accelerat|device (?:creation|setup) failed|no device available for decoder|cuda|cuvid|nvdec|vaapi/i;

/** What the filters get, in a verbose log: from a hardware decoder one chroma plane, from a software decoder two. */
const FILTER_INPUT = /\bgraph -?\d+ input from stream .* pixfmt:(\w+)/;

/** Whether a log line says that ffmpeg decodes in software what it was to decode by hardware. */
export function saysSoftware(line: string): boolean {
  const format = FILTER_INPUT.exec(line)?.[1];
  return format !== undefined && !/^(nv12|p01\d)/.test(format);
}

export function isHardwareTrouble(problem: string): boolean {
  return TROUBLE.test(problem);
}

/** The input options that decode by a method. What it cannot decode ffmpeg decodes in software, and says so. */
export function hardwareArguments({ method, device }: HardwareDecoder): string[] {
  return ['-hwaccel', method, ...(method === 'cuda' ? ['-hwaccel_device', String(device)] : [])];
}

/**
 * Tries each method that this ffmpeg lists: it works when a small H.264 clip comes out as it does in software. The clip
 * goes through pipes: a restorer that is killed meanwhile leaves nothing behind.
 */
export async function tryHardwareDecoders(path: string, device: number): Promise<HardwareTrial[]> {
  const trials: HardwareTrial[] = [];
  try {
    const { stdout: listed } = await ffmpeg(path, ['-hwaccels']);
    const usable = METHODS.filter((method) => new RegExp(`^${method}$`, 'm').test(String(listed)));
    if (usable.length === 0) return [];
    const { stdout: clip } = await ffmpeg(path, [
      ...['-f', 'lavfi', '-i', 'testsrc2=s=640x480:r=25:d=0.4', '-pix_fmt', 'yuv420p'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-f', 'h264', '-'],
    ]);
    const { sum: expected } = await decode(path, clip, []);
    for (const method of usable) {
      const decoder = { method, device };
      const wrong = await tryOne(path, clip, decoder, expected);
      const detail = wrong ?? 'decodes a clip as software does';
      trials.push({ ...decoder, works: wrong === undefined, detail });
    }
  } catch (error) {
    if (trials.length === 0)
      trials.push({ method: METHODS[0], device, works: false, detail: problemOf(error) });
  }
  return trials;
}

/** @returns what is wrong, or undefined */
async function tryOne(
  path: string,
  clip: Buffer,
  decoder: HardwareDecoder,
  expected: string,
): Promise<string | undefined> {
  try {
    const { sum, log } = await decode(path, clip, hardwareArguments(decoder));
    const chosen = new RegExp(`Format ${decoder.method}\\w* chosen by get_format`).test(log);
    if (!chosen || log.includes('Failed setup for format'))
      return 'ffmpeg decodes H.264 in software all the same';
    return sum === expected ? undefined : 'decodes another picture than software does';
  } catch (error) {
    return problemOf(error);
  }
}

async function decode(path: string, clip: Buffer, options: string[]): Promise<{ sum: string; log: string }> {
  const input = ['-f', 'h264', '-i', 'pipe:0'];
  const output = ['-pix_fmt', 'yuv420p', '-f', 'md5', '-'];
  const { stdout, stderr } = await ffmpeg(path, ['-v', 'debug', ...options, ...input, ...output], clip);
  return { sum: String(stdout).trim(), log: String(stderr) };
}

function ffmpeg(path: string, args: string[], input?: Buffer): Promise<{ stdout: Buffer; stderr: Buffer }> {
  const [file, ...rest] = [...parentDeathPrefix(), path, '-nostdin', '-hide_banner', ...args];
  const running = promisify(execFile)(file!, rest, {
    encoding: 'buffer',
    timeout: WITHIN,
    killSignal: 'SIGKILL',
    maxBuffer: 16 << 20,
  });
  // One that ends without reading it all has said why.
  running.child.stdin?.on('error', () => {}).end(input);
  return running;
}

/** What ffmpeg gave as its reason. */
function problemOf(error: unknown): string {
  const { stderr = '', killed, signal } = error as ExecException;
  if (killed) return `gave no answer in ${WITHIN / 1000} s`;
  const lines = String(stderr)
    .split('\n')
    .map((line) => line.replace(/^(\[[^\]]*\] )+/, '').trim());
  const said = lines.find(isProblem) ?? (signal ? `ffmpeg died of ${signal}` : lines.findLast(Boolean));
  return said ?? errorInfo(error).message.split('\n')[0]!;
}

function isProblem(line: string): boolean {
  return isHardwareTrouble(line) && /fail|cannot|could not|no device|error|not /i.test(line);
}
