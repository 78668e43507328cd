import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { FRAME_CODE, renderDemoClip } from '../../src/ingest/demo-clip.ts';
import { HEIGHT } from '../../src/ingest/demo-scene.ts';
import { psnr } from '../support/demo.ts';
import { encodeArguments, runFfmpeg } from '../support/ffmpeg.ts';

/** A cut-out of the demo scene with tram, cars, facades and the frame code in it: real detail for half the work. */
export const CLIP = { width: 384, height: 216, frames: 250, rate: 25 };

/** Lines above the strip with the frame code: what is compared. */
const COMPARED = CLIP.height - (HEIGHT - FRAME_CODE.y) - 4;

type Plane = Uint8Array | Uint8ClampedArray;

export interface DegradedClips {
  /** Two minutes of Matroska as a cheap camera sends the scene: noise, then a codec short of bits. */
  h264: string;
  /** With B-frames and AAC. */
  bframes: string;
  /** With G.711. */
  h265: string;
  mjpeg: string;
  /** FLV, as a pusher sends it. */
  flv: string;
  /** Luma of the undegraded frames, as a browser shows it (0..255), by frame number. */
  clean(number: number): Uint8ClampedArray;
}

/** Draws the scene and degrades it; about ten seconds of one core. */
export async function renderDegradedClips(directory: string): Promise<DegradedClips> {
  const { clean } = await renderDemoClip(join(directory, 'demo'), true);
  const raw = join(directory, 'clean.gray');
  const file = (name: string) => join(directory, name);
  const crop = `crop=${CLIP.width}:${CLIP.height}:0:${HEIGHT - CLIP.height}`;
  const bounded = ['-b:v', '500k', '-maxrate', '600k', '-bufsize', '600k'];
  const output = (name: string, args: string[], path: string) => [
    ...['-map', `[${name}]`, ...args, '-t', String(CLIP.frames / CLIP.rate), path],
  ];
  await runFfmpeg([
    ...['-i', clean!, '-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'],
    ...[
      '-filter_complex',
      `[0:v]${crop},split[c][d];[c]extractplanes=y[clean];[d]noise=alls=20:allf=t:all_seed=3,split=4[h264][bframes][h265][mjpeg]`,
    ],
    ...output('clean', ['-f', 'rawvideo'], raw),
    ...output('h264', [...encodeArguments({ gop: 50 }), ...bounded], file('h264.mkv')),
    ...output(
      'bframes',
      ['-map', '1:a', ...encodeArguments({ bframes: 2, gop: 50, audio: 'aac' }), ...bounded],
      file('bframes.mkv'),
    ),
    ...output(
      'h265',
      ['-map', '1:a', ...encodeArguments({ codec: 'h265', gop: 50, audio: 'pcm_alaw' }), ...bounded],
      file('h265.mkv'),
    ),
    // RFC 2435 carries no Huffman tables.
    ...output(
      'mjpeg',
      [...encodeArguments({ codec: 'mjpeg' }), '-q:v', '12', '-huffman', 'default'],
      file('mjpeg.mkv'),
    ),
  ]);
  const loop = (from: string, to: string) =>
    runFfmpeg(['-stream_loop', '11', '-i', file(from), '-map', '0', '-c', 'copy', file(to)]);
  for (const name of ['h264', 'bframes', 'h265', 'mjpeg']) await loop(`${name}.mkv`, `${name}-looped.mkv`);
  await loop('h264.mkv', 'push.flv');
  const lumas = await readFile(raw);
  const size = CLIP.width * CLIP.height;
  return {
    h264: file('h264-looped.mkv'),
    bframes: file('bframes-looped.mkv'),
    h265: file('h265-looped.mkv'),
    mjpeg: file('mjpeg-looped.mkv'),
    flv: file('push.flv'),
    // Limited range (16..235) to what a screen gets.
    clean: (number) =>
      Uint8ClampedArray.from(
        lumas.subarray(number * size, (number + 1) * size),
        (luma) => ((luma - 16) * 255) / 219,
      ),
  };
}

/** Reads the frame's number off a luma plane of the clip's size; undefined when it is not legible. */
export function frameNumber(luma: Plane): number | undefined {
  const { x, y, cell, bits } = FRAME_CODE;
  const row = y - (HEIGHT - CLIP.height) + cell / 2;
  let number = 0;
  for (let bit = 0; bit < bits; bit++) {
    const value = luma[row * CLIP.width + x + (bit + 0.5) * cell]!;
    if (value > 80 && value < 175) return undefined;
    if (value >= 175) number += 2 ** bit;
  }
  return number < CLIP.frames ? number : undefined;
}

/** PSNR of two luma planes of the clip's size without the frame code, dB. */
export function similarity(a: Plane, b: Plane): number {
  return psnr(a.subarray(0, COMPARED * CLIP.width), b.subarray(0, COMPARED * CLIP.width));
}
