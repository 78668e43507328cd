import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { HARDWARE_ENCODERS, type HardwareEncoderName } from '../contracts/restorer.ts';
import { parentDeathPrefix } from './ffmpeg-child.ts';

export interface EncoderTrial {
  method: HardwareEncoderName;
  works: boolean;
  /** A sentence: what was checked, or what is wrong. */
  detail: string;
}

const TRIAL = fileURLToPath(new URL('./encoder-trial.ts', import.meta.url));
/** Of one trial, ms: a driver that hangs is one that does not work. */
const WITHIN = 10_000;

/** Tries each hardware encoder in a process of its own: it works when it encodes a clip as live streams need it. */
export function tryHardwareEncoders(device: number, within = WITHIN): Promise<EncoderTrial[]> {
  return Promise.all(
    HARDWARE_ENCODERS.map(async (method) => {
      const wrong = await tryOne(method, device, within);
      return {
        method,
        works: wrong === undefined,
        detail: wrong ?? 'encodes a clip as live streams need it',
      };
    }),
  );
}

/** @returns what is wrong, or undefined */
async function tryOne(
  name: HardwareEncoderName,
  device: number,
  within: number,
): Promise<string | undefined> {
  try {
    const [file, ...args] = [...parentDeathPrefix(), process.execPath, TRIAL, name, String(device)];
    await promisify(execFile)(file!, args, { timeout: within, killSignal: 'SIGKILL' });
    return undefined;
  } catch (error) {
    const { stdout, stderr, killed, signal } = error as ExitedBadly;
    if (killed) return `gave no answer in ${within / 1000} s`;
    if (signal) return `took its process down (${signal})`;
    return stdout.trim() || reasonOf(stderr);
  }
}

interface ExitedBadly {
  stdout: string;
  stderr: string;
  killed: boolean;
  signal: string | null;
}

/** The first failure, of which the later ones follow. */
function reasonOf(stderr: string): string {
  const lines = stderr
    .trim()
    .split('\n')
    .map((line) => line.replace(/^(\[[^\]]*\] )+/, ''));
  return lines.find((line) => /cannot|could not|failed|no available/i.test(line)) ?? lines.at(-1)!;
}
