import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { promisify } from 'node:util';
import { createFile, type ISOFile, MP4BoxBuffer } from 'mp4box';
import { material, Run } from './encoder.ts';

const exec = promisify(execFile);
const dir = await mkdtemp(join(tmpdir(), 'clearway-hls-'));
after(() => rm(dir, { recursive: true }));

/** 20 s of picture and sound; sound packets come a little after their pictures, as they do on a real stream. */
async function audioVisual(options: { lag?: number; until?: number; from?: number } = {}): Promise<Run> {
  const { lag = 9000, until = Infinity, from = 0 } = options;
  const run = new Run(await material(), { audio: true });
  const start = run.now + 3600;
  let sent = 0;
  for (let index = 0; index < 500; index++) {
    run.picture(3600);
    for (; start + sent * 1920 <= run.now - lag; sent++) {
      if (sent * 1920 >= from && sent * 1920 < until) run.sound(start + sent * 1920, sent);
    }
  }
  return run;
}

async function probe(
  file: string,
): Promise<{ stream: string; pts: number; dts: number; duration: number }[]> {
  const fields = 'packet=codec_type,pts_time,dts_time,duration_time';
  const { stdout } = await exec('ffprobe', ['-v', 'error', '-show_entries', fields, '-of', 'csv=p=0', file], {
    maxBuffer: 2 ** 26,
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [stream, pts, dts, duration] = line.split(',');
      return { stream: stream!, pts: Number(pts), dts: Number(dts), duration: Number(duration) };
    });
}

async function save(name: string, data: Buffer): Promise<string> {
  const file = join(dir, name);
  await writeFile(file, data);
  return file;
}

/** What ffmpeg complains about when it decodes everything. */
async function decode(file: string): Promise<string> {
  const { stderr } = await exec('ffmpeg', ['-nostdin', '-v', 'warning', '-i', file, '-f', 'null', '-']);
  return stderr;
}

function boxes(data: Buffer): string[] {
  const found: string[] = [];
  for (let at = 0; at < data.length; at += data.readUInt32BE(at)) {
    found.push(data.toString('latin1', at + 4, at + 8));
  }
  return found;
}

function parse(data: Buffer): ISOFile {
  const file = createFile();
  const bytes = data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength) as ArrayBuffer;
  file.appendBuffer(MP4BoxBuffer.fromArrayBuffer(bytes, 0));
  file.flush();
  return file;
}

test('init + parts and init + segments are the same bytes, and decode without a word', async () => {
  using run = await audioVisual();
  const { parts, segments } = run.files();
  assert.ok(segments.length > 100_000 && parts.subarray(0, segments.length).equals(segments));
  assert.equal(await decode(await save('segments.mp4', segments)), '');
  assert.equal(await decode(await save('parts.mp4', parts)), '');
});

test('timestamps are the output clock, grow without holes, and sound starts with the picture', async () => {
  using run = await audioVisual();
  const packets = await probe(await save('clock.mp4', run.files().segments));
  for (const [stream, step] of [
    ['video', 0.04],
    ['audio', 1024 / 48_000],
  ] as const) {
    const own = packets.filter((packet) => packet.stream === stream);
    assert.ok(
      Math.abs(own[0]!.pts - (Date.UTC(2026, 10, 23) / 1000 + 0.04)) < 1e-3,
      `${stream} starts at ${own[0]!.pts}`,
    );
    own.forEach((packet, index) => {
      assert.equal(packet.pts, packet.dts);
      if (index > 0) assert.ok(Math.abs(packet.dts - own[index - 1]!.dts - step) < 1e-3);
    });
  }
});

test('a part is one moof with both tracks, one mdat, and as long as the playlist says', async () => {
  using run = await audioVisual();
  const [init] = run.inits.values();
  assert.deepEqual(boxes(init!), ['ftyp', 'moov']);
  for (const [name, data] of [...run.parts].slice(0, 12)) {
    assert.deepEqual(boxes(data), ['moof', 'mdat']);
    const [moof] = parse(Buffer.concat([init!, data])).moofs;
    const traf = moof!.trafs[0]!;
    const ticks = traf.truns[0]!.sample_duration?.reduce((sum, duration) => sum + duration, 0);
    const expected = traf.truns[0]!.sample_count * 3600;
    const [msn, part] = name.split('.').map(Number);
    const declared = run.checker.segments.get(msn!)!.parts[part!]!.duration * 90_000;
    assert.equal(Math.round(declared), expected);
    if (ticks) assert.equal(ticks, expected);
    assert.ok(traf.tfhd.flags & 0x020000, 'default-base-is-moof');
    assert.equal(moof!.trafs.length, 2);
  }
});

test('an avc1 sample entry with the parameter sets, none in the samples', async () => {
  using run = await audioVisual();
  const info = parse(run.files().segments).getInfo();
  assert.equal(info.isFragmented, true);
  assert.deepEqual(
    info.tracks.map(({ codec, timescale }) => [codec, timescale]),
    [
      [run.window.listed[0]!.init.codecs.split(',')[0], 90_000],
      ['mp4a.40.2', 48_000],
    ],
  );
  assert.match(info.tracks[0]!.codec, /^avc1\.42[0-9a-f]{4}$/);
  const { video } = info.tracks[0]!;
  assert.deepEqual([video!.width, video!.height], [160, 120]);
  const nal = /\0\0\0.[\x67\x68\x27\x28]/su;
  assert.ok(!nal.test(run.parts.values().next().value!.toString('latin1', 0, 2000).slice(200)));
});

test('where there is no sound there is silence, so that no player waits for it', async () => {
  for (const options of [{ from: 300_000 }, { until: 400_000 }, { from: 1e9 }]) {
    using run = await audioVisual(options);
    const file = await save('silence.mp4', run.files().segments);
    assert.equal(await decode(file), '');
    const packets = await probe(file);
    const end = (stream: string) => packets.findLast((packet) => packet.stream === stream)!.pts;
    assert.ok(
      Math.abs(end('audio') - end('video')) < 0.6,
      `sound ends ${end('video') - end('audio')} s early`,
    );
    const audio = packets.filter(({ stream }) => stream === 'audio');
    audio.forEach((packet, index) => {
      if (index > 0) assert.ok(packet.dts - audio[index - 1]!.dts < 0.03);
    });
  }
});

test('sound comes back in its own time after silence', async () => {
  using run = await audioVisual({ from: 300_000 });
  const file = await save('beeps.mp4', run.files().segments);
  const { stderr } = await exec('ffmpeg', [
    '-nostdin',
    '-i',
    file,
    '-vn',
    '-af',
    'silencedetect=n=-30dB:d=0.3',
    '-f',
    'null',
    '-',
  ]);
  const beeps = [...stderr.matchAll(/silence_end: ([\d.]+)/g)].map(([, at]) => Number(at));
  // The material beeps at each of its whole seconds; the last end is that of the file.
  const heard = beeps.slice(0, -1);
  assert.ok(heard.length > 10);
  assert.equal(Math.round(heard[0]!), 4);
  for (const at of heard) assert.ok(Math.abs(at - Math.round(at)) < 0.03, `${at}`);
});

test('picture size changes in between: each run decodes with its own init', async () => {
  using run = new Run(await material());
  run.pictures(80, 3600);
  run.changeMaterial(await material(320, 240), { width: 320, height: 240 });
  run.pictures(150, 3600);
  const [[first, small], [second, large]] = [...run.inits] as [[number, Buffer], [number, Buffer]];
  const of = (init: Buffer, from: number, to: number) =>
    Buffer.concat([
      init,
      ...[...run.segments].flatMap(([msn, data]) => (msn >= from && msn < to ? [data] : [])),
    ]);
  assert.equal(await decode(await save('small.mp4', of(small, first, second))), '');
  assert.equal(await decode(await save('large.mp4', of(large, second, Infinity))), '');
});
