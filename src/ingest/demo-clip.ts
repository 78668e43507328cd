import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { ffmpegArguments, ffmpegPath } from '../codec/ffmpeg.ts';
import { spawnFfmpeg } from '../codec/ffmpeg-child.ts';
import { readLines } from '../codec/lines.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Canvas } from './demo-canvas.ts';
import {
  drawBackground,
  drawCar,
  drawClouds,
  drawForeground,
  drawTram,
  drawWheel,
  HEIGHT,
  WIDTH,
} from './demo-scene.ts';

/** The scene repeats after so many frames, without a seam. */
export const DEMO_FRAMES = 500;
const DEMO_RATE = 25;

/** Where the frame's number within the loop stands: bits of 8x8 pixels, lowest first, white for 1. */
export const FRAME_CODE = { x: 8, y: 348, cell: 8, bits: 9 };

export interface DemoClip {
  /** What the camera sends: noisy, H.264 at 700 kbit/s, with AAC. */
  camera: string;
  /** The same frames as they were drawn, without loss. */
  clean?: string;
}

const LAYERS: Record<string, () => Canvas> = {
  background: drawBackground,
  clouds: drawClouds,
  wheel: drawWheel,
  tram: drawTram,
  car: () => drawCar([38, 92, 150]),
  taxi: () => drawCar([214, 168, 44]),
  foreground: drawForeground,
};

/**
 * Renders the demo camera's loop into a directory, or finds it there. Takes some seconds of one core once.
 * @param clean also keep the undegraded frames, for comparisons
 */
export async function renderDemoClip(directory: string, clean = false): Promise<DemoClip> {
  const clip: DemoClip = {
    camera: join(directory, 'camera.mp4'),
    ...(clean ? { clean: join(directory, 'clean.mkv') } : {}),
  };
  const files = Object.values(clip) as string[];
  if ((await Promise.all(files.map(exists))).every(Boolean)) return clip;
  // Rendered beside its place and then moved there, so that a half-written clip is never found.
  await mkdir(directory, { recursive: true });
  const work = await mkdtemp(join(directory, 'rendering-'));
  try {
    for (const [name, draw] of Object.entries(LAYERS))
      await writeFile(join(work, `${name}.pam`), draw().toPam());
    await runRender(renderArguments(work, clean));
    for (const file of files) await rename(join(work, basename(file)), file);
  } finally {
    await rm(work, { recursive: true, force: true });
  }
  return clip;
}

async function exists(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined)) !== undefined;
}

function renderArguments(directory: string, clean: boolean): string[] {
  const duration = String(DEMO_FRAMES / DEMO_RATE);
  const stills = Object.keys(LAYERS).map((name) => ({
    url: join(directory, `${name}.pam`),
    options: ['-f', 'image2', '-loop', '1', '-framerate', String(DEMO_RATE), '-c:v', 'pam'],
  }));
  // A low hum, wind and a distant bell: quiet, and the loop closes on whole periods.
  const sound = `aevalsrc=exprs='0.02*sin(2*PI*110*t)+0.015*sin(2*PI*165*t)*(1+sin(2*PI*t/5))+0.05*exp(-2*mod(t,5))*sin(2*PI*660*t)':s=48000:d=${duration}`;
  return ffmpegArguments(
    ['-nostdin', '-hide_banner', '-v', 'error', '-y', '-filter_complex_threads', '1'],
    [...stills, { url: sound, options: ['-f', 'lavfi', '-thread_queue_size', '64'] }],
    [
      {
        url: join(directory, 'camera.mp4'),
        options: [
          ...['-filter_complex', sceneGraph(clean), '-map', '[camera]', '-map', `${stills.length}:a`],
          ...['-frames:v', String(DEMO_FRAMES), '-c:v', 'libx264', '-profile:v', 'baseline'],
          ...['-preset', 'veryfast', '-bf', '0', '-g', '50', '-keyint_min', '50', '-sc_threshold', '0'],
          ...['-b:v', '700k', '-maxrate', '800k', '-bufsize', '800k', '-threads', '2'],
          ...['-c:a', 'aac', '-b:a', '64k', '-t', duration, '-movflags', '+faststart'],
        ],
      },
      ...(clean
        ? [
            {
              url: join(directory, 'clean.mkv'),
              options: [
                ...['-map', '[clean]', '-frames:v', String(DEMO_FRAMES)],
                ...['-c:v', 'libx264', '-qp', '0', '-preset', 'ultrafast'],
              ],
            },
          ]
        : []),
    ],
  );
}

/** Everything that moves does so by the frame number `n`, whole turns or passages a loop. */
function sceneGraph(clean: boolean): string {
  const phase = `n/${DEMO_FRAMES}`;
  const { x, y, cell, bits } = FRAME_CODE;
  const code = Array.from(
    { length: bits },
    (_, bit) =>
      `drawbox=x=${x + bit * cell}:y=${y}:w=${cell}:h=${cell}:c=white:t=fill:enable='mod(floor(n/${2 ** bit}),2)'`,
  );
  const chain = [
    `[0:v]format=yuv420p[s0]`,
    `[2:v]rotate=a=2*PI*${phase}:c=none[wheel]`,
    `[s0][1:v]overlay=x='-mod(${phase}*${WIDTH},${WIDTH})':y=14:shortest=1[s1]`,
    `[s1][wheel]overlay=x=318:y=72[s2]`,
    `[s2][3:v]overlay=x='-300+1000*mod(2*${phase},1)':y=226[s3]`,
    `[s3][4:v]overlay=x='700-820*mod(3*${phase}+0.2,1)':y=288[s4]`,
    `[s4][5:v]overlay=x='700-860*mod(2*${phase}+0.6,1)':y=302[s5]`,
    `[s5][6:v]overlay=x=0:y=0[s6]`,
    // The code's dark ground, then its bits.
    `[s6]${[`drawbox=x=${x - 2}:y=${y - 2}:w=${bits * cell + 4}:h=${HEIGHT - y + 2}:c=black:t=fill`, ...code].join(',')}[drawn]`,
  ];
  const camera = 'noise=alls=24:allf=t:all_seed=7';
  chain.push(clean ? `[drawn]split[clean][dirty];[dirty]${camera}[camera]` : `[drawn]${camera}[camera]`);
  return chain.join(';');
}

async function runRender(args: string[]): Promise<void> {
  await using child = spawnFfmpeg(ffmpegPath(), args);
  const log: string[] = [];
  readLines(child.stderr, (line) => log.push(line));
  const exit = await child.closed;
  if (exit.code !== 0) {
    throw new ClearwayError(
      'CLEARWAY_FFMPEG_MISSING',
      `ffmpeg could not render the demo camera (${log.at(-1) ?? exit.error?.message ?? exit.signal}): install an ffmpeg with libx264`,
    );
  }
}
