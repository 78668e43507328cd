import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { frameJpeg, frameTimes } from '../../../src/codec/file/frames.ts';
import { renderClip, runFfmpeg, temporaryDirectory } from '../../support/ffmpeg.ts';
import { readNumbers, renderNumbered } from '../../support/numbered.ts';

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
before(async () => {
  directory = await temporaryDirectory();
});
after(() => directory[Symbol.asyncDispose]());

const path = (name: string) => join(directory.path, name);

async function numberAt(file: string, seconds: number): Promise<number> {
  const jpeg = path('frame.jpg');
  await writeFile(jpeg, await frameJpeg(file, seconds));
  const [picture] = await readNumbers(jpeg);
  return picture!.number;
}

const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '3', '-g', '100'];
const FILES: Record<string, Parameters<typeof renderNumbered>[1]> = {
  'b-frames.mp4': { options: H264 },
  'late-start.mp4': { options: [...H264, '-output_ts_offset', '3'] },
  // Three frames of every eight are missing.
  'variable.mkv': { filter: "select='mod(n,8)-mod(n,3)*2'", options: H264 },
  'ntsc.mov': { rate: 30000 / 1001, options: H264 },
  'stream.ts': { options: H264 },
  'old.avi': { options: ['-c:v', 'mpeg4', '-g', '100', '-q:v', '3'] },
  'web.webm': { options: ['-c:v', 'libvpx', '-deadline', 'realtime', '-b:v', '1M', '-g', '100'] },
  'program.mpg': { options: ['-c:v', 'mpeg2video', '-g', '30', '-bf', '2', '-q:v', '3'] },
};

for (const [name, options] of Object.entries(FILES)) {
  test(`any frame of ${name} is found by its time`, async () => {
    const file = await renderNumbered(path(name), options);
    const frames = await readNumbers(file);
    const start = frames[0]!.time;
    for (const at of [0, 1, 37, frames.length - 2, frames.length - 1]) {
      const { number, time } = frames[at]!;
      assert.equal(await numberAt(file, time - start), number, `frame ${at} at ${time}`);
    }
  });
}

test('the times of the frames count from the start of the file, in order of display', async () => {
  const file = await renderNumbered(path('times.mp4'), { options: [...H264, '-output_ts_offset', '3'] });
  const times = await frameTimes(file);
  assert.equal(times.length, 100);
  for (const [n, time] of times.entries()) assert.ok(Math.abs(time - n / 25) < 1e-4, `frame ${n} at ${time}`);
});

test('a time beyond the end has no picture, many at once are all answered, and one can be given up', async () => {
  const file = await renderClip(path('short.mp4'), { seconds: 1 });
  await assert.rejects(frameJpeg(file, 1.5), { code: 'CLEARWAY_SOURCE_NOT_VIDEO' });
  const jpegs = await Promise.all([0, 0.2, 0.4, 0.6, 0.8].map((time) => frameJpeg(file, time)));
  for (const jpeg of jpegs) assert.deepEqual([...jpeg.subarray(0, 2)], [0xff, 0xd8]);
  const reason = new Error('not wanted any more');
  await assert.rejects(frameJpeg(file, 0, AbortSignal.abort(reason)), reason);
});

test('a picture that is not there in time is given up, and keeps nobody waiting', {
  timeout: 60_000,
}, async (t) => {
  const hangs = path('hangs');
  await writeFile(hangs, '#!/bin/sh\nexec sleep 3600\n', { mode: 0o755 });
  process.env.FFMPEG_PATH = hangs;
  t.after(() => delete process.env.FFMPEG_PATH);
  const late = { code: 'CLEARWAY_SOURCE_NOT_VIDEO' };
  const jpegs = Array.from({ length: 4 }, () => frameJpeg(path('any.mp4'), 60, undefined, 100));
  await Promise.all(jpegs.map((jpeg) => assert.rejects(jpeg, late)));
});

test('colours are the same whatever matrix the video has: a JPEG is always BT.601', async () => {
  for (const matrix of ['bt709', 'smpte170m']) {
    const file = path(`${matrix}.mp4`);
    const pattern = `color=c=0x20A040:size=64x64:rate=25,format=gbrp,scale=out_color_matrix=${matrix}:out_range=tv,format=yuv420p`;
    await runFfmpeg([
      ...['-f', 'lavfi', '-i', pattern, '-frames:v', '2'],
      ...['-c:v', 'libx264', '-colorspace', matrix, file],
    ]);
    const [jpeg, rgb] = [path('colour.jpg'), path('colour.rgb')];
    await writeFile(jpeg, await frameJpeg(file, 0));
    await runFfmpeg(['-i', jpeg, '-vf', 'format=rgb24,crop=1:1', '-f', 'rawvideo', rgb]);
    const colour = [...(await readFile(rgb))];
    const off = [0x20, 0xa0, 0x40].map((value, index) => Math.abs(value - colour[index]!));
    assert.ok(Math.max(...off) <= 4, `${matrix}: ${colour}`);
  }
});
