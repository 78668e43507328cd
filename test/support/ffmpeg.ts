import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ffmpegPath } from '../../src/codec/ffmpeg.ts';
import { type FfmpegChild, spawnFfmpeg } from '../../src/codec/ffmpeg-child.ts';

/** A directory of the test's own, gone when disposed. */
export async function temporaryDirectory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'clearway-test-'));
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Starts ffmpeg with what a test needs of it; its log is read, so that it never blocks. */
export function startFfmpeg(args: string[]): FfmpegChild & { log(): string } {
  const child = spawnFfmpeg(ffmpegPath(), ['-nostdin', '-hide_banner', '-v', 'warning', ...args]);
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-20_000);
  });
  return { ...child, log: () => log };
}

/** Runs ffmpeg to its end, which must be a success; gives its log. */
export async function runFfmpeg(args: string[]): Promise<string> {
  await using child = startFfmpeg(['-y', ...args]);
  const exit = await child.closed;
  assert.equal(exit.code, 0, child.log());
  return child.log();
}

export interface ClipOptions {
  codec?: 'h264' | 'h265' | 'mjpeg';
  size?: string;
  rate?: number;
  seconds?: number;
  /** B-frames between two others; H.264 and H.265 only. */
  bframes?: number;
  gop?: number;
  audio?: 'aac' | 'pcm_alaw' | 'libopus';
  /** lavfi source instead of the test pattern. */
  pattern?: string;
}

const VIDEO_CODECS = { h264: 'libx264', h265: 'libx265', mjpeg: 'mjpeg' };

/** Encoder arguments of a clip or a live push. */
export function encodeArguments(options: ClipOptions = {}): string[] {
  const { codec = 'h264', bframes = 0, gop = 25 } = options;
  return [
    ...['-c:v', VIDEO_CODECS[codec], '-pix_fmt', codec === 'mjpeg' ? 'yuvj420p' : 'yuv420p'],
    ...(codec === 'mjpeg'
      ? ['-q:v', '4']
      : ['-preset', 'ultrafast', '-bf', String(bframes), '-g', String(gop)]),
    ...(codec === 'h265' ? ['-x265-params', `log-level=error:pools=1:keyint=${gop}:bframes=${bframes}`] : []),
    ...(options.audio ? ['-c:a', options.audio] : []),
    ...(options.audio === 'pcm_alaw' ? ['-ar', '8000', '-ac', '1'] : []),
  ];
}

/** Inputs of a clip: a moving test pattern and, when asked for, a tone. */
export function patternArguments(options: ClipOptions = {}): string[] {
  const { size = '320x240', rate = 25 } = options;
  return [
    ...['-f', 'lavfi', '-i', options.pattern ?? `testsrc2=size=${size}:rate=${rate}`],
    ...(options.audio ? ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'] : []),
  ];
}

/** Renders a clip to a file; the extension chooses the container. */
export async function renderClip(file: string, options: ClipOptions = {}): Promise<string> {
  const duration = String(options.seconds ?? 2);
  await runFfmpeg([...patternArguments(options), '-t', duration, ...encodeArguments(options), file]);
  return file;
}
