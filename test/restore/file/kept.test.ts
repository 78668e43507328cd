import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runFfmpeg, temporaryDirectory } from '../../support/ffmpeg.ts';
import { ffprobe, packetHashes } from '../../support/ffprobe.ts';
import { NUMBERED, numberedSource, readNumbers, renderNumbered } from '../../support/numbered.ts';
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

const CHAPTERS = `;FFMETADATA1
title=A day at the gate
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1500
title=Morning
[CHAPTER]
TIMEBASE=1/1000
START=1500
END=4000
title=Noon
`;
const SUBTITLES = `1
00:00:00,500 --> 00:00:01,200
Somebody comes

2
00:00:02,000 --> 00:00:03,000
Somebody goes
`;

/** Two audio tracks, subtitles, chapters, a title, an attachment. */
async function renderRich(file: string, attachment: boolean): Promise<string> {
  await writeFile(path('chapters.txt'), CHAPTERS);
  await writeFile(path('subtitles.srt'), SUBTITLES);
  await writeFile(path('note.txt'), 'a note');
  await runFfmpeg([
    ...['-f', 'lavfi', '-i', numberedSource(25, 4)],
    ...['-f', 'lavfi', '-i', 'sine=f=440:r=48000:d=4', '-f', 'lavfi', '-i', 'sine=f=880:r=44100:d=4'],
    ...['-i', path('subtitles.srt'), '-i', path('chapters.txt'), '-map_metadata', '4'],
    ...['-map', '0', '-map', '1', '-map', '2', '-map', '3'],
    ...['-c:v', 'libx264', '-bf', '3', '-c:a:0', 'aac', '-c:a:1', 'libopus', '-c:s', 'subrip'],
    ...['-colorspace', 'smpte170m', '-color_primaries', 'smpte170m', '-color_trc', 'bt709'],
    ...[
      '-metadata:s:v:0',
      'language=nld',
      '-metadata:s:a:0',
      'language=deu',
      '-metadata:s:s:0',
      'language=fra',
    ],
    ...['-metadata:s:a:0', 'title=Commentary', '-disposition:a:1', 'default', '-disposition:a:0', '0'],
    ...(attachment ? ['-attach', path('note.txt'), '-metadata:s:t:0', 'mimetype=text/plain'] : []),
    file,
  ]);
  return file;
}

test('an MKV keeps every track, chapter, tag and attachment in MKV, and every picture its number and time', async () => {
  const input = await renderRich(path('rich.mkv'), true);
  const result = await restoring.restore(input, path('kept.mkv'));
  assert.deepEqual(result.warnings, []);
  assert.deepEqual(
    [result.frames, result.width, result.height, result.model],
    [100, NUMBERED.width, NUMBERED.height, 'brighten'],
  );
  const { streams, chapters, format } = await ffprobe(path('kept.mkv'));
  assert.deepEqual(
    streams.map(({ codec_name, codec_type }) => codec_name ?? codec_type),
    ['h264', 'aac', 'opus', 'subrip', 'attachment'],
  );
  assert.deepEqual(
    streams.map(({ tags }) => tags?.language),
    ['nld', 'deu', undefined, 'fra', undefined],
  );
  assert.equal(streams[1]!.tags?.title, 'Commentary');
  assert.deepEqual(
    [1, 2].map((track) => streams[track]!.disposition?.default),
    [0, 1],
  );
  assert.equal(streams[4]!.tags?.filename, 'note.txt');
  assert.deepEqual(
    chapters.map(({ tags, start_time }) => [tags?.title, Number(start_time)]),
    [
      ['Morning', 0],
      ['Noon', 1.5],
    ],
  );
  assert.equal(format.tags?.title, 'A day at the gate');
  assert.deepEqual(
    ['color_space', 'color_primaries', 'color_transfer', 'color_range'].map((key) => streams[0]![key]),
    ['smpte170m', 'smpte170m', 'bt709', 'tv'],
  );
  for (const track of ['a:0', 'a:1', 's:0']) {
    assert.deepEqual(await packetHashes(path('kept.mkv'), track), await packetHashes(input, track));
  }
  assert.deepEqual(await readNumbers(path('kept.mkv')), await readNumbers(input));
});

test('the same in MP4: subtitles become its own kind, and what it cannot hold is named', async () => {
  const input = await renderRich(path('rich-again.mkv'), true);
  const result = await restoring.restore(input, path('kept.mp4'));
  assert.equal(result.warnings.length, 2);
  assert.match(result.warnings[0]!, /Track 3 \(subtitle\) was converted from subrip to mov_text/);
  assert.match(result.warnings[1]!, /Track 4 \(attachment, \w+\) was left out/);
  const { streams, chapters } = await ffprobe(path('kept.mp4'));
  assert.deepEqual(streams.map(({ codec_name }) => codec_name).slice(0, 4), [
    'h264',
    'aac',
    'opus',
    'mov_text',
  ]);
  assert.deepEqual(
    chapters.map(({ tags }) => tags?.title),
    ['Morning', 'Noon'],
  );
  assert.deepEqual(await readNumbers(path('kept.mp4')), await readNumbers(input));
  // Round trip: the text is still there at its times.
  await runFfmpeg(['-copyts', '-i', path('kept.mp4'), '-map', '0:s:0', path('back.srt')]);
  await runFfmpeg(['-copyts', '-i', input, '-map', '0:s:0', path('plain.srt')]);
  assert.equal(await readFile(path('back.srt'), 'utf8'), await readFile(path('plain.srt'), 'utf8'));
});

const X264 = ['-c:v', 'libx264', '-bf', '3', '-g', '50'];
const TIMED: Record<
  string,
  { input: string; options: Parameters<typeof renderNumbered>[1]; output: string }
> = {
  'variable frame rate': {
    input: 'vfr.mkv',
    options: { filter: "select='mod(n,8)-mod(n,3)*2'", options: X264 },
    output: 'vfr.mp4',
  },
  'a frame rate of NTSC': {
    input: 'ntsc.mov',
    options: { rate: 30000 / 1001, options: X264 },
    output: 'ntsc.mkv',
  },
  'a transport stream that starts late': { input: 'in.ts', options: { options: X264 }, output: 'ts.mp4' },
  'bare H.264': { input: 'in.h264', options: { options: X264 }, output: 'bare.mp4' },
  'an AVI': { input: 'in.avi', options: { options: ['-c:v', 'mpeg4', '-q:v', '3'] }, output: 'avi.mov' },
  'a WebM to AV1': {
    input: 'in.webm',
    options: { seconds: 1, options: ['-c:v', 'libvpx', '-deadline', 'realtime', '-b:v', '1M'] },
    output: 'out.webm',
  },
};

for (const [name, { input, options, output }] of Object.entries(TIMED)) {
  test(`every frame and its time is kept: ${name}`, async () => {
    await renderNumbered(path(input), options);
    const codec = output.endsWith('webm') ? 'av1' : 'h264';
    const result = await restoring.restore(path(input), path(output), { codec });
    assert.deepEqual(result.warnings, []);
    const before = await readNumbers(path(input));
    const after = await readNumbers(path(output));
    assert.equal(result.frames, before.length);
    const start = Number((await ffprobe(path(input))).format.start_time) || 0;
    assert.deepEqual(
      after.map(({ number }) => number),
      before.map(({ number }) => number),
    );
    // MKV and WebM count in milliseconds.
    for (const [at, { time }] of after.entries())
      assert.ok(Math.abs(time - (before[at]!.time - start)) <= 0.00051, `frame ${at}: ${time}`);
  });
}

test('a picture that is shown turned comes back upright', async () => {
  const upright = await renderNumbered(path('plain.mp4'), { seconds: 1 });
  // On its side, with the note for players to turn it back: 90 degrees.
  await runFfmpeg(['-i', upright, '-vf', 'transpose=2', '-c:v', 'libx264', path('side.mp4')]);
  await runFfmpeg([
    '-display_rotation',
    '90',
    '-i',
    path('side.mp4'),
    '-c',
    'copy',
    path('turned.mp4'),
  ]).catch(
    // ffmpeg 5.1 has the tag instead.
    () =>
      runFfmpeg(['-i', path('side.mp4'), '-c', 'copy', '-metadata:s:v:0', 'rotate=270', path('turned.mp4')]),
  );
  const result = await restoring.restore(path('turned.mp4'), path('turned-out.mp4'));
  assert.deepEqual([result.width, result.height], [NUMBERED.width, NUMBERED.height]);
  const [video] = (await ffprobe(path('turned-out.mp4'))).streams;
  assert.equal(video!.side_data_list, undefined);
  assert.deepEqual(
    (await readNumbers(path('turned-out.mp4'))).map(({ number }) => number),
    Array.from({ length: 25 }, (_, n) => n),
  );
});

test('the picture is brought to the lines that are asked for, in its own shape', async () => {
  const input = await renderNumbered(path('small.mp4'), { seconds: 1, filter: 'setsar=4/3' });
  const result = await restoring.restore(input, path('large.mkv'), { height: 480, codec: 'hevc', crf: 30 });
  assert.deepEqual([result.width, result.height], [1440, 480]);
  const [video] = (await ffprobe(path('large.mkv'))).streams;
  assert.deepEqual(
    [video!.codec_name, video!.width, video!.height, video!.sample_aspect_ratio],
    ['hevc', 1440, 480, '4:3'],
  );
  const numbers = await readNumbers(path('large.mkv'), { width: 1440, height: 480 });
  assert.deepEqual(
    numbers.map(({ number }) => number),
    Array.from({ length: 25 }, (_, n) => n),
  );
});
