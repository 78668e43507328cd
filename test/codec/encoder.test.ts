import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { AudioEncoder } from '../../src/codec/audio-encoder.ts';
import { H264Encoder } from '../../src/codec/encoder.ts';
import { encodeJpeg } from '../../src/codec/jpeg.ts';
import { pictureBytes } from '../../src/restore/picture.ts';

const [WIDTH, HEIGHT] = [320, 180];
const START = 1_795_000_000_000 * 90;

/** A moving gradient with fine noise: costs bits. */
function scene(frame: number, width = WIDTH, height = HEIGHT): Uint8Array {
  const data = new Uint8Array(pictureBytes(width, height)).fill(128);
  let seed = frame + 1;
  for (let i = 0; i < width * height; i++) {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    data[i] = 60 + (((i % width) + frame * 3) % 97) + ((seed >> 16) & 31);
  }
  return data;
}

/** NAL unit types of an Annex B access unit. */
function nalTypes(data: Uint8Array): number[] {
  const types: number[] = [];
  for (let i = 0; i + 4 < data.length; i++) {
    if (data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 1) types.push(data[i + 3]! & 31);
  }
  return types;
}

/** Decodes a stream with the system's ffmpeg and returns the luma of every frame. */
async function decode(format: string, bytes: Buffer, pixels = 'yuv420p'): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const args = ['-v', 'error', '-f', format, '-i', '-', '-f', 'rawvideo', '-pix_fmt', pixels, '-'];
    const child = execFile(
      'ffmpeg',
      args,
      { encoding: 'buffer', maxBuffer: 1 << 28 },
      (error, stdout, stderr) => {
        if (error ?? stderr.length > 0) reject(error ?? new Error(stderr.toString()));
        else resolve(stdout);
      },
    );
    child.stdin!.end(bytes);
  });
}

test('one constrained baseline access unit a picture, keyframes exactly where asked, headers before each', async () => {
  const encoder = await H264Encoder.open({
    width: WIDTH,
    height: HEIGHT,
    fps: 25,
    bitrate: 2_000_000,
    threads: 2,
  });
  const units = [];
  for (let i = 0; i < 30; i++) units.push(await encoder.encode(scene(i), START + i * 3600, i === 17));
  encoder.close();
  assert.deepEqual(
    units.map(({ key }) => key),
    units.map((_, i) => i === 0 || i === 17),
  );
  assert.deepEqual(
    units.map(({ pts }) => pts),
    units.map((_, i) => START + i * 3600),
  );
  for (const { data, key } of units) {
    const types = nalTypes(data).filter((type) => type !== 6);
    if (key) assert.deepEqual(types.slice(0, 3), [7, 8, 5]);
    else
      assert.ok(
        types.every((type) => type === 1),
        `types ${types}`,
      );
  }
  const sps = units[0]!.data;
  // profile_idc 66, constraint_set1_flag
  const at = sps.findIndex(
    (_, i) => sps[i] === 0 && sps[i + 1] === 0 && sps[i + 2] === 1 && (sps[i + 3]! & 31) === 7,
  );
  assert.equal(sps[at + 4], 66);
  assert.ok(sps[at + 5]! & 0x40);
  const decoded = await decode('h264', Buffer.concat(units.map(({ data }) => data)));
  assert.equal(decoded.length, 30 * pictureBytes(WIDTH, HEIGHT));
});

test('the bitrate bound is kept, and moves between two pictures', async () => {
  const encoder = await H264Encoder.open({
    width: WIDTH,
    height: HEIGHT,
    fps: 25,
    bitrate: 300_000,
    threads: 1,
  });
  const rate = async (from: number) => {
    let bytes = 0;
    for (let i = 0; i < 75; i++)
      bytes += (await encoder.encode(scene(from + i), START + (from + i) * 3600, false)).data.length;
    return (bytes * 8 * 25) / 75;
  };
  const low = await rate(0);
  encoder.bound(1_500_000);
  const high = await rate(75);
  encoder.close();
  assert.ok(low < 450_000, `${low} bit/s under a bound of 300 kbit/s`);
  assert.ok(high > 2 * low, `${high} bit/s after the bound rose to 1.5 Mbit/s`);
});

test('Opus and AAC packets keep the output clock, and start anew after a gap', () => {
  for (const codec of ['opus', 'aac'] as const) {
    const encoder = new AudioEncoder(codec);
    const second = new Int16Array(48_000 * 2).map((_, i) => Math.round(8000 * Math.sin((i >> 1) * 0.05)));
    const before = encoder.encode(second, START);
    const after = encoder.encode(second, START + 10 * 90_000);
    encoder.close();
    for (const packets of [before, after.slice(3)]) {
      assert.ok(packets.length > 40);
      for (let i = 1; i < packets.length; i++)
        assert.equal(packets[i]!.pts - packets[i - 1]!.pts, packets[i]!.duration);
    }
    assert.ok(Math.abs(before[0]!.pts - START) <= 2000, 'the encoder delay is in the timestamps');
    assert.ok(after.at(-1)!.pts > START + 10.8 * 90_000);
  }
});

test('a JPEG shows the picture at full range', async () => {
  const picture = new Uint8Array(pictureBytes(64, 48)).fill(128);
  picture.fill(16, 0, 64 * 24);
  picture.fill(235, 64 * 24, 64 * 48);
  const jpeg = await encodeJpeg(picture, 64, 48);
  const decoded = await decode('jpeg_pipe', Buffer.from(jpeg), 'yuvj420p');
  assert.ok(decoded[0]! <= 2 && decoded[64 * 47]! >= 253, `${decoded[0]} ${decoded[64 * 47]}`);
});
