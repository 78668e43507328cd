import assert from 'node:assert/strict';
import { buffer } from 'node:stream/consumers';
import { ffmpegPath } from '../../src/codec/ffmpeg.ts';
import { spawnFfmpeg } from '../../src/codec/ffmpeg-child.ts';
import { runFfmpeg } from './ffmpeg.ts';

/** Columns of the picture, each one bit of the frame's number. */
const BITS = 12;
const SIDE = 16;
export const NUMBERED = { width: BITS * SIDE, height: 64 };

/** A lavfi source whose every frame shows its number in black and white. */
export function numberedSource(rate: number, seconds: number): string {
  const bit = `mod(floor(N/pow(2\\,floor(X/${SIDE})))\\,2)`;
  const { width, height } = NUMBERED;
  return `color=s=${width}x${height}:r=${rate}:d=${seconds},format=yuv420p,geq=lum='40+160*${bit}':cb=128:cr=128`;
}

/** Renders numbered frames to a file; `options` are the encoder's. */
export async function renderNumbered(
  file: string,
  { rate = 25, seconds = 4, filter = '', options = ['-c:v', 'libx264', '-g', '50', '-bf', '3'] } = {},
): Promise<string> {
  const source = `${numberedSource(rate, seconds)}${filter && `,${filter}`}`;
  await runFfmpeg(['-f', 'lavfi', '-i', source, '-fps_mode', 'passthrough', ...options, file]);
  return file;
}

/** Every picture of a video or image, upright, as ffmpeg decodes it: its number and its time in seconds. */
export async function readNumbers(
  file: string,
  { width, height } = NUMBERED,
): Promise<{ number: number; time: number }[]> {
  await using child = spawnFfmpeg(
    ffmpegPath(),
    [
      ...['-nostdin', '-hide_banner', '-loglevel', 'repeat+info', '-copyts', '-i', file, '-map', '0:V:0'],
      ...['-vf', 'showinfo=checksum=0,format=gray', '-fps_mode', 'passthrough', '-f', 'rawvideo', 'pipe:3'],
    ],
    1,
  );
  let log = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    log += text;
  });
  const pictures = await buffer(child.pipes[0]!);
  await child.closed;
  const times = [...log.matchAll(/ pts_time:\s*(-?[\d.]+)/g)].map(([, time]) => Number(time));
  assert.equal(pictures.length, times.length * width * height, log);
  return times.map((time, i) => ({
    time,
    number: numberIn(pictures.subarray(i * width * height), width, height),
  }));
}

function numberIn(luma: Uint8Array, width: number, height: number): number {
  const row = Math.floor(height / 2) * width;
  let number = 0;
  for (let bit = 0; bit < BITS; bit++) {
    if (luma[row + Math.floor(((bit + 0.5) * width) / BITS)]! > 120) number += 2 ** bit;
  }
  return number;
}
