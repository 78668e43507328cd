import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { DegradedClip } from '../../src/eval/conditions.ts';
import { measure } from '../../src/eval/measures.ts';
import { exceptions, type Row, writeCard } from '../../src/eval/report.ts';
import { filterSubject } from '../../src/eval/subjects.ts';
import { readVideo, runFfmpeg, toY4m } from '../../src/eval/video.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { scene } from './scene.ts';

const MAIN = join(import.meta.dirname, '../../src/eval/main.ts');

/** Writes the synthetic scene losslessly as a clip. */
async function clipIn(directory: string, frames: number): Promise<string> {
  const [raw, clip] = [join(directory, 'scene.y4m'), join(directory, 'scene.mkv')];
  await writeFile(raw, toY4m(scene({ width: 320, height: 192, frames })));
  await runFfmpeg(['-i', raw, '-c:v', 'ffv1', clip]);
  return clip;
}

/** The numbers of a table's line that begins with these cells. */
function cells(table: string, ...begin: string[]): number[] {
  const line = table.split('\n').find((text) => text.startsWith(`| ${begin.join(' | ')} |`));
  assert.ok(line, `no line ${begin} in:\n${table}`);
  return line
    .split('|')
    .slice(begin.length + 1, -1)
    .map(Number.parseFloat);
}

test('npm run eval: lite is closer to the clean clip than its input, under noise and at night', async () => {
  await using directory = await temporaryDirectory();
  await clipIn(directory.path, 8);
  const options = ['--models', 'lite', '--conditions', 'noise,night,clean', '--frames', '8', '--no-filters'];
  const { stdout } = await promisify(execFile)(process.execPath, [
    MAIN,
    '--data',
    directory.path,
    ...options,
  ]);
  for (const subject of ['lite', 'lite + smoother']) {
    const [, noise, , , flicker] = cells(stdout, 'noise', subject);
    assert.ok(noise! > 5, `${subject}, noise: ${noise} dB`);
    assert.ok(flicker! < cells(stdout, 'noise', 'input').at(4)!);
    const [, night] = cells(stdout, 'night', subject);
    assert.ok(night! > 0.3, `${subject}, night: ${night} dB`);
    assert.ok(cells(stdout, 'clean', subject)[0]! > 42);
  }
  assert.ok(cells(stdout, 'scene')[0]! > 5, 'the table of clips');
});

test('a wrong directory, condition or frame count is refused with what to do', async () => {
  const refusal = async (...args: string[]) => {
    const run = promisify(execFile)(process.execPath, [MAIN, ...args]);
    return run.then(
      () => assert.fail('it was taken'),
      ({ code, stderr }: { code: number; stderr: string }) => `${code} ${stderr}`,
    );
  };
  assert.match(await refusal('--data', '/nowhere'), /^1 There are no clips .* in \/nowhere/);
  assert.match(
    await refusal('--data', '/', '--conditions', 'fog'),
    /^1 There is no condition fog: choose of noise/,
  );
  assert.match(await refusal('--data', '/', '--frames', 'all'), /^1 --frames takes a whole number/);
});

test('the conditions make a clip worse, the same way every time', async () => {
  await using directory = await temporaryDirectory();
  const clip = await DegradedClip.open(await clipIn(directory.path, 3), 3, directory.path);
  const pictures = scene({ width: 320, height: 192, frames: 3 });
  assert.deepEqual(clip.clean.frames, pictures.frames);
  for (const condition of ['noise', 'lowrate', 'night', 'mjpeg'] as const) {
    const once = await clip.under(condition);
    const { psnr, ssim } = measure(once.frames, clip.clean);
    assert.ok(psnr > 20 && psnr < 45 && ssim < 0.99, `${condition}: ${psnr} dB, ${ssim}`);
    assert.deepEqual((await clip.under(condition)).frames, once.frames);
  }
});

test('a filter sees the degraded pictures and keeps their number', async () => {
  await using directory = await temporaryDirectory();
  const clean = scene({ width: 160, height: 96, frames: 3 });
  const noisy = scene({ width: 160, height: 96, frames: 3, noise: 11 });
  const { frames } = await filterSubject('nlmeans=s=8', directory.path).restore(noisy);
  assert.ok(measure(frames, clean).psnr > measure(noisy.frames, clean).psnr + 3);
  assert.equal((await filterSubject('null', directory.path).restore(noisy)).frames.length, 3);
  await assert.rejects(readVideo(join(directory.path, 'absent.mp4')), /absent\.mp4.*No such file/s);
});

test('measures: equal pictures, and differences of known size', () => {
  const clean = scene({ width: 64, height: 48, frames: 3 });
  assert.deepEqual(measure(clean.frames, clean), { psnr: 60, ssim: 1, flicker: 0 });
  const brighter = clean.frames.map((frame, t) => frame.map((p) => p + (t === 1 ? 2 : 0)));
  const { psnr, flicker } = measure(brighter, clean);
  assert.ok(Math.abs(psnr - (60 + 60 + 10 * Math.log10(255 ** 2 / 4)) / 3) < 1e-9);
  assert.equal(flicker, 2);
});

test('exceptions name what is below its input, flickers more, or is below another', () => {
  const row = (subject: string, psnr: number, flicker: number): Row => ({
    clip: 'a',
    condition: 'night',
    subject,
    measures: { psnr, ssim: 1, flicker },
    cpu: 1,
  });
  const rows = [row('input', 30, 2), row('good', 32, 1), row('bad', 29, 2), row('filter', 31, 1)];
  assert.deepEqual(exceptions(rows, 'good', ['filter']), []);
  assert.deepEqual(exceptions(rows, 'bad', ['filter']), [
    'a, night: bad is 1.00 dB below its input',
    'a, night: bad flickers 2.00, its input 2.00',
    'a, night: bad is 2.00 dB below filter',
  ]);
});

test('a card is written between its markers, and what stands around them stays', async () => {
  await using directory = await temporaryDirectory();
  const card = join(directory.path, 'card.md');
  await writeFile(card, '# lite\n');
  await writeCard(card, 'one');
  const once = await readFile(card, 'utf8');
  assert.match(once, /^# lite\n\n<!-- eval.*-->\none\n<!-- \/eval -->\n$/);
  await writeFile(card, `${once}\nbelow\n`);
  await writeCard(card, 'two');
  assert.equal(await readFile(card, 'utf8'), `${once.replace('one', 'two')}\nbelow\n`);
});
