import assert from 'node:assert/strict';
import { open, readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises';
import { getPriority } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ErrorCode } from '../../../src/contracts/errors.ts';
import { renderClip, runFfmpeg, temporaryDirectory } from '../../support/ffmpeg.ts';
import { ffprobe } from '../../support/ffprobe.ts';
import { readNumbers, renderNumbered } from '../../support/numbered.ts';
import { descendants } from '../../support/processes.ts';
import { type Restoring, startRestoring } from '../../support/restoring.ts';

let restoring: Restoring;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
const path = (name: string) => join(directory.path, name);

before(async () => {
  restoring = await startRestoring();
  directory = await temporaryDirectory();
});
after(async () => {
  await restoring[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const lavfi = (source: string, ...options: string[]) => ['-f', 'lavfi', '-i', source, ...options];

/** The first bytes of a file. */
async function cut(file: string, share: number): Promise<string> {
  await truncate(file, Math.floor((await stat(file)).size * share));
  return file;
}

const REFUSED: Record<
  string,
  { make(file: string): Promise<unknown>; code: ErrorCode; says: RegExp; as?: string }
> = {
  'a text': {
    make: (file) => writeFile(file, 'This is no video.\n'.repeat(100)),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /no video container that is known here/,
  },
  'an empty file': {
    make: (file) => writeFile(file, ''),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /cannot be read as video/,
  },
  'a playlist that leads to another file': {
    make: (file) => writeFile(file, '#EXTM3U\n#EXTINF:1,\n/etc/passwd\n'),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /cannot be read as video/,
  },
  'an ffconcat script': {
    make: (file) => writeFile(file, 'ffconcat version 1.0\nfile /etc/passwd\n'),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /cannot be read as video/,
  },
  'sound alone': {
    make: (file) => runFfmpeg([...lavfi('sine=d=1'), '-c:a', 'aac', file]),
    code: 'CLEARWAY_SOURCE_NO_VIDEO',
    says: /no video track/,
  },
  'sound with a cover': {
    make: (file) =>
      runFfmpeg([
        ...[...lavfi('sine=d=1'), ...lavfi('testsrc2=d=0.04:s=64x64')],
        ...['-map', '0', '-map', '1', '-c:v', 'mjpeg', '-disposition:v', 'attached_pic', file],
      ]),
    code: 'CLEARWAY_SOURCE_NO_VIDEO',
    says: /no video track/,
  },
  'an MP4 without its index': {
    make: async (file) => cut(await renderClip(file, { seconds: 1 }), 0.5),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /its index is missing: the file was cut off/,
  },
  'a video without a frame': {
    make: (file) => runFfmpeg([...lavfi('testsrc2=d=1'), '-frames:v', '0', '-c:v', 'libx264', file]),
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    says: /cannot be read as video/,
    as: 'none.mkv',
  },
  'HDR (PQ)': {
    make: (file) =>
      runFfmpeg([
        ...lavfi('testsrc2=d=0.2:s=128x128', '-pix_fmt', 'yuv420p10le', '-c:v', 'libx265'),
        ...['-x265-params', 'log-level=error:transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc', file],
      ]),
    code: 'CLEARWAY_SOURCE_UNSUPPORTED',
    says: /HDR/,
  },
  // 60000 x 60000 from a few kB: 5 GB decoded.
  'a zip bomb of dimensions (GIF)': {
    make: async (file) => {
      await runFfmpeg([...lavfi('testsrc=s=64x64:d=0.2'), '-f', 'gif', file]);
      const bytes = await readFile(file);
      bytes.writeUInt16LE(60_000, 6);
      bytes.writeUInt16LE(60_000, 8);
      await writeFile(file, bytes);
    },
    code: 'CLEARWAY_PICTURE_SIZE',
    says: /larger than the 36 megapixels/,
  },
  'a zip bomb of dimensions (H.264, 12000 x 12000)': {
    make: (file) =>
      runFfmpeg([
        ...lavfi('color=black:s=12000x12000:r=1:d=1'),
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-threads', '1', file],
      ]),
    code: 'CLEARWAY_PICTURE_SIZE',
    says: /at most 8192 a side|larger than the 36 megapixels/,
  },
  'a picture that would become too wide': {
    make: (file) => runFfmpeg([...lavfi('testsrc2=d=0.2:s=1280x64'), '-c:v', 'libx264', file]),
    code: 'CLEARWAY_PICTURE_SIZE',
    says: /43200 wide at 2160 lines/,
  },
};

for (const [name, { make, code, says, as }] of Object.entries(REFUSED)) {
  test(`${name} is refused with ${code}, and nothing is written`, async () => {
    const input = path(as ?? `${name.replaceAll(/\W/g, '-')}.mp4`);
    await make(input);
    const settings = code === 'CLEARWAY_PICTURE_SIZE' ? ({ height: 2160 } as const) : {};
    await assert.rejects(restoring.restore(input, path('refused.mp4'), settings), (error: Error) => {
      assert.equal((error as { code?: string }).code, code, error.message);
      assert.match(error.message, says);
      assert.equal((error as { retryable?: boolean }).retryable, false, 'another attempt would end alike');
      return true;
    });
    assert.deepEqual(
      (await readdir(directory.path)).filter((found) => found.startsWith('refused')),
      [],
    );
  });
}

test('a file that is not there, and a directory, are named', async () => {
  for (const input of [path('gone.mp4'), directory.path])
    await assert.rejects(restoring.restore(input, path('refused.mp4')), { code: 'CLEARWAY_NOT_FOUND' });
});

test('a model that is not there, or damaged, is named', async () => {
  const input = await renderNumbered(path('fine.mp4'), { seconds: 0.2 });
  await assert.rejects(restoring.restore(input, path('refused.mp4'), { model: 'huge' }), {
    code: 'CLEARWAY_MODEL_NOT_FOUND',
    message: /huge/,
  });
  await assert.rejects(restoring.restore(input, path('refused.mp4'), { model: 'nan-weights' }), {
    code: 'CLEARWAY_MODEL_INVALID',
    message: /nan-weights/,
  });
});

test('a file that is cut off is restored as far as it goes, and says so', async () => {
  const input = await cut(await renderNumbered(path('cut.mkv'), { seconds: 4 }), 0.5);
  const { frames, warnings } = await restoring.restore(input, path('cut-out.mp4'));
  assert.ok(frames > 5 && frames < 95, `${frames} frames`);
  assert.match(warnings.join(), new RegExp(`damaged or cut off: the ${frames} of about 100 pictures`));
  const numbers = await readNumbers(path('cut-out.mp4'));
  assert.deepEqual(
    numbers.map(({ number }) => number),
    Array.from({ length: frames }, (_, n) => n),
  );
});

test('a file with damage in its midst is restored around it, and says so', async () => {
  const input = await renderClip(path('holes.ts'), { seconds: 4, gop: 10 });
  const file = await open(input, 'r+');
  const { size } = await file.stat();
  const noise = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 7919) & 255));
  await file.write(noise, 0, noise.length, Math.floor(size / 2));
  await file.close();
  const { frames, warnings } = await restoring.restore(input, path('holes-out.mp4'));
  assert.ok(frames > 50, `${frames} frames`);
  assert.match(warnings.join(), /damaged or cut off/);
});

test('one frame, ten seconds of black, odd sides, and pictures smaller than a tile are restored', async () => {
  const cases: [
    name: string,
    args: string[],
    frames: number,
    size: [number, number],
    warning: RegExp | undefined,
  ][] = [
    ['one.mp4', lavfi('testsrc2=s=128x128', '-frames:v', '1', '-c:v', 'libx264'), 1, [128, 128], undefined],
    ['black.mp4', lavfi('color=black:s=128x128:r=25:d=10', '-c:v', 'libx264'), 250, [128, 128], undefined],
    [
      'odd.mkv',
      lavfi('testsrc=s=127x65:d=0.2', '-c:v', 'ffv1'),
      5,
      [126, 64],
      /cropped from 127x65 to 126x64/,
    ],
    ['tiny.avi', lavfi('testsrc2=s=18x18:d=0.2', '-c:v', 'rawvideo'), 5, [18, 18], undefined],
  ];
  for (const [name, args, frames, [width, height], warning] of cases) {
    await runFfmpeg([...args, '-pix_fmt', 'yuv420p', path(name)]);
    const result = await restoring.restore(path(name), path(`${name}-out.mp4`), {
      model: 'blend',
      smoothing: 0.5,
    });
    assert.deepEqual([result.frames, result.width, result.height], [frames, width, height], name);
    if (warning) assert.match(result.warnings.join(), warning);
    else assert.deepEqual(result.warnings, [], name);
    const [video] = (await ffprobe(path(`${name}-out.mp4`))).streams;
    assert.deepEqual([video!.nb_read_packets, video!.width], [String(frames), width], name);
  }
});

test('10-bit 4:2:2, RGB and interlaced video is taken, and what it became is said', async () => {
  const cases: [name: string, options: string[], warning: RegExp | undefined][] = [
    [
      'ten.mov',
      ['-c:v', 'prores_ks', '-pix_fmt', 'yuv422p10le'],
      /converted from yuv422p10le to 8-bit 4:2:0/,
    ],
    ['rgb.mkv', ['-c:v', 'ffv1', '-pix_fmt', 'bgr0'], /converted from bgr0/],
    [
      'fields.mkv',
      ['-vf', 'interlace', '-c:v', 'libx264', '-flags', '+ilme+ildct', '-pix_fmt', 'yuv420p'],
      /was interlaced/,
    ],
    ['full.mp4', ['-c:v', 'libx264', '-pix_fmt', 'yuvj420p', '-color_range', 'pc'], undefined],
  ];
  for (const [name, options, warning] of cases) {
    await runFfmpeg([...lavfi('testsrc2=s=192x128:d=1:r=50'), ...options, path(name)]);
    const { frames, warnings } = await restoring.restore(path(name), path(`${name}-out.mp4`));
    const count = name === 'fields.mkv' ? 25 : 50;
    assert.equal(frames, count, name);
    if (warning) assert.match(warnings.join(), warning, name);
    else assert.deepEqual(warnings, [], name);
  }
});

test('models that look ahead restore the last picture of each scene too', async () => {
  // A cut in the middle.
  await runFfmpeg([
    ...[...lavfi('color=black:s=128x128:d=0.4:r=25'), ...lavfi('color=white:s=128x128:d=0.4:r=25')],
    ...['-filter_complex', '[0][1]concat', '-c:v', 'libx264', '-qp', '0', path('scenes.mp4')],
  ]);
  const { frames } = await restoring.restore(path('scenes.mp4'), path('scenes-out.mp4'), {
    model: 'ahead',
    crf: 0,
  });
  assert.equal(frames, 20);
  await runFfmpeg([
    '-i',
    path('scenes-out.mp4'),
    '-vf',
    'scale=1:1',
    '-pix_fmt',
    'gray',
    '-f',
    'rawvideo',
    path('scenes'),
  ]);
  const levels = [...(await readFile(path('scenes')))];
  // The model takes the mean with the next picture; nothing of the next scene may be in it.
  const dark = levels.filter((level) => level < 20).length;
  assert.deepEqual([dark, levels.filter((level) => level > 230).length], [10, 10], String(levels));
});

test('the children of a file give way to all else; a decoder that crashes gives it up for another attempt', async () => {
  const input = await renderClip(path('long.mp4'), { seconds: 60, size: '640x360' });
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const result = restoring.restore(
    input,
    path('crash.mp4'),
    {},
    { onProgress: (p) => p.frames > 0 && resolve() },
  );
  await begun;
  const children = await descendants(restoring.client.pid!);
  const decoder = children.find(({ command }) => command.includes('rawvideo'))!;
  const ffmpegs = children.filter(({ command }) => command.includes('-nostdin'));
  assert.deepEqual(
    ffmpegs.map(({ pid }) => getPriority(pid)),
    [19, 19],
  );
  process.kill(decoder.pid, 'SIGSEGV');
  await assert.rejects(result, { code: 'CLEARWAY_SOURCE_ENDED', retryable: true });
  const after = (await readdir(directory.path)).filter((name) => name.startsWith('crash'));
  assert.deepEqual(after, []);
});
