import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { ffmpegPath } from '../../../src/codec/ffmpeg.ts';
import { spawnFfmpeg } from '../../../src/codec/ffmpeg-child.ts';
import type { FileProgress } from '../../../src/contracts/file.ts';
import { runFfmpeg, startFfmpeg, temporaryDirectory } from '../../support/ffmpeg.ts';
import { ffprobe, packetHashes } from '../../support/ffprobe.ts';
import { REAL_MODELS, startRestoring } from '../../support/restoring.ts';

const SECONDS = 60;
/** Few enough that a busy machine restores them in time. */
const FPS = 2;
/** Seconds from one flash to the next. */
const EVERY = 5;
const SAMPLE_RATE = 48_000;

/** The picture is white for one frame every five seconds. */
const PICTURE = `testsrc2=s=1280x720:r=${FPS},drawbox=c=white:t=fill:enable='lt(mod(t+0.001,${EVERY}),0.05)'`;
/** ... and a tone of a tenth of a second begins with it. */
const SOUND = `aevalsrc='0.5*lt(mod(t,${EVERY}),0.1)*sin(2*PI*1000*t)':s=${SAMPLE_RATE}`;

/** Decodes to raw bytes on a pipe, with the log. */
async function decode(args: string[]): Promise<{ bytes: Buffer; log: string }> {
  await using child = spawnFfmpeg(ffmpegPath(), ['-nostdin', '-loglevel', 'repeat+info', ...args], 1);
  let log = '';
  child.stderr.setEncoding('latin1').on('data', (text: string) => {
    log += text;
  });
  const bytes = await buffer(child.pipes[0]!);
  await child.closed;
  return { bytes, log };
}

/** Seconds from each flash to the tone that belongs to it. */
async function offsets(file: string): Promise<number[]> {
  const { bytes: levels, log } = await decode([
    ...['-i', file, '-map', '0:v:0', '-vf', 'showinfo=checksum=0,scale=1:1:flags=area,format=gray'],
    ...['-fps_mode', 'passthrough', '-f', 'rawvideo', 'pipe:3'],
  ]);
  const times = [...log.matchAll(/ pts_time:\s*(-?[\d.]+)/g)].map(([, time]) => Number(time));
  assert.equal(times.length, levels.length);
  const flashes = times.filter((_, n) => levels[n]! > 220);
  const { bytes } = await decode([
    ...['-i', file, '-map', '0:a:0', '-af', 'aresample=async=1:first_pts=0', '-ac', '1'],
    ...['-f', 's16le', 'pipe:3'],
  ]);
  const samples = new Int16Array(bytes.buffer, bytes.byteOffset, bytes.length >> 1);
  return flashes.map((flash) => {
    const from = Math.max(0, Math.round((flash - 0.3) * SAMPLE_RATE));
    const onset = samples.subarray(from).findIndex((sample) => Math.abs(sample) > 4000);
    return (from + onset) / SAMPLE_RATE - flash;
  });
}

/** Mean PSNR of a file's pictures against the clean ones, dB. */
async function quality(file: string): Promise<number> {
  await using child = startFfmpeg([
    ...['-v', 'info', '-t', '5', '-i', file, '-f', 'lavfi', '-t', '5', '-i', PICTURE],
    ...['-lavfi', '[0:v][1:v]psnr', '-f', 'null', '-'],
  ]);
  await child.closed;
  return Number(/average:([\d.]+)/.exec(child.log())?.[1]);
}

test('a minute of 720p with sound and subtitles comes back restored, both intact and in step', {
  timeout: 290_000,
}, async () => {
  await using directory = await temporaryDirectory();
  await using restoring = await startRestoring(REAL_MODELS);
  const [input, output] = [join(directory.path, 'in.mp4'), join(directory.path, 'out.mp4')];
  const lines = Array.from(
    { length: SECONDS / 2 },
    (_, n) =>
      `${n + 1}\n00:00:${String(2 * n).padStart(2, '0')},100 --> 00:00:${String(2 * n + 1).padStart(2, '0')},900\nLine ${n}\n`,
  );
  await writeFile(join(directory.path, 'lines.srt'), lines.join('\n'));
  await runFfmpeg([
    ...['-f', 'lavfi', '-i', `${PICTURE},noise=alls=12:allf=t`, '-f', 'lavfi', '-i', SOUND],
    ...[
      '-i',
      join(directory.path, 'lines.srt'),
      '-map',
      '0',
      '-map',
      '1',
      '-map',
      '2',
      '-t',
      String(SECONDS),
    ],
    ...['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '30', '-pix_fmt', 'yuv420p', '-c:a', 'aac'],
    ...['-c:s', 'mov_text', '-metadata:s:s:0', 'language=eng', input],
  ]);

  const stages: FileProgress[] = [];
  const onProgress = (progress: FileProgress) => stages.push(progress);
  const result = await restoring.restore(input, output, { model: 'lite', smoothing: 0.5 }, { onProgress });

  assert.deepEqual(
    [result.frames, result.width, result.height, result.model, result.warnings],
    [SECONDS * FPS, 1280, 720, 'lite', []],
  );
  assert.ok(Math.abs(result.duration - SECONDS) < 0.01);
  const { streams, format } = await ffprobe(output);
  assert.deepEqual(
    streams.map(({ codec_name, nb_read_packets }) => [codec_name, nb_read_packets]),
    (await ffprobe(input)).streams.map(({ codec_name, nb_read_packets }) => [codec_name, nb_read_packets]),
  );
  assert.ok(Math.abs(Number(format.duration) - SECONDS) < 0.1);
  for (const track of ['a:0', 's:0'])
    assert.deepEqual(await packetHashes(output, track), await packetHashes(input, track));
  const before = await offsets(input);
  const after = await offsets(output);
  assert.equal(after.length, SECONDS / EVERY);
  for (const [n, offset] of after.entries()) {
    assert.ok(Math.abs(offset) < 1 / FPS, `flash ${n}: sound ${offset} s after the picture`);
    assert.ok(Math.abs(offset - before[n]!) < 0.001, `flash ${n}: it was ${before[n]}, is ${offset}`);
  }
  const [dull, restored] = [await quality(input), await quality(output)];
  assert.ok(restored > dull + 1, `PSNR ${dull} dB before, ${restored} dB after`);

  assert.deepEqual([...new Set(stages.map(({ stage }) => stage))], ['probing', 'restoring', 'finishing']);
  const midway = stages.find(({ frames, left }) => frames > 30 && left !== undefined)!;
  assert.ok(midway.total === SECONDS * FPS && midway.fps > 0 && midway.left! > 0, JSON.stringify(midway));
  for (const [at, { frames }] of stages.entries())
    assert.ok(at === 0 || frames >= stages[at - 1]!.frames, 'progress only grows');
});
