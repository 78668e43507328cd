import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { FinishedFrame } from '../../src/restore/renditions.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { HOOKS, installGpuEncoder } from '../support/gpu-encoder/gpu-encoder.ts';

// Before anything loads node-av.
await import(HOOKS);
const { openHardwareEncoder } = await import('../../src/codec/encoder-kinds.ts');
const { pictureBytes } = await import('../../src/restore/picture.ts');
const { Renditions } = await import('../../src/restore/renditions.ts');

const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());
const set = installGpuEncoder(directory.path);
const [WIDTH, HEIGHT] = [320, 180];

function frame(number: number): FinishedFrame {
  const picture = new Uint8Array(pictureBytes(WIDTH, HEIGHT)).fill(60 + number);
  const pts = 1_000_000 + number * 3600;
  return {
    restored: picture,
    source: picture,
    width: WIDTH,
    height: HEIGHT,
    pts,
    arrival: 0,
    outcome: 'restored',
  };
}

function renditionsOn(name: 'nvenc' | 'vaapi') {
  set(name, 'works');
  const failed: string[] = [];
  const renditions = new Renditions({
    threads: 1,
    hardware: openHardwareEncoder(name, 0),
    hardwareFailed: (rendition, why) => failed.push(`${rendition}: ${why}`),
  });
  let number = 0;
  const encode = async () => {
    const sent = frame(number++);
    const { units, failures } = await renditions.encode(sent, 25);
    assert.deepEqual(failures, []);
    for (const unit of units) assert.equal(unit.pts, sent.pts);
    return units.map(({ rendition, key }) => `${rendition}${key ? ' key' : ''}`);
  };
  return { renditions, failed, encode };
}

test('a hardware encoder that fails mid-stream: the same picture comes from x264, as a keyframe, and it is said why', async () => {
  const { renditions, failed, encode } = renditionsOn('nvenc');
  renditions.want(['restored'], 1_000_000);
  assert.deepEqual(await encode(), ['restored key']);
  assert.deepEqual(await encode(), ['restored']);
  assert.deepEqual(renditions.encoders, { restored: 'nvenc' });
  set('nvenc', 'fails');
  assert.deepEqual(await encode(), ['restored key']);
  assert.deepEqual(renditions.encoders, { restored: 'software (encode: Input/output error)' });
  assert.deepEqual(failed, ['restored: encode: Input/output error']);
  // Not asked again while somebody watches.
  set('nvenc', 'works');
  assert.deepEqual(await encode(), ['restored']);
  renditions.want([], 0);
  renditions.want(['restored'], 1_000_000);
  assert.deepEqual(await encode(), ['restored key']);
  assert.deepEqual(renditions.encoders, { restored: 'nvenc' });
  renditions.close();
});

test('a GPU without a session for one more rendition: that one alone is encoded by x264', async () => {
  const { renditions, failed, encode } = renditionsOn('nvenc');
  renditions.want(['restored'], 1_000_000);
  await encode();
  set('nvenc', 'full');
  renditions.want(['restored', 'compare'], 1_000_000);
  assert.deepEqual(await encode(), ['restored', 'compare key']);
  const why = 'open h264_nvenc: Cannot allocate memory';
  assert.deepEqual(renditions.encoders, { restored: 'nvenc', compare: `software (${why})` });
  assert.deepEqual(failed, [`compare: ${why}`]);
  renditions.close();
});

test('a picture that never comes out of an encoder is seen to take long', async () => {
  const { renditions, encode } = renditionsOn('nvenc');
  renditions.want(['restored'], 1_000_000);
  await encode();
  assert.equal(renditions.busyFor, 0);
  set('nvenc', 'stuck');
  void encode();
  const begun = renditions.busyFor;
  await setImmediate();
  assert.ok(renditions.busyFor > begun);
});

test('a hardware encoder that takes no new bound is opened anew with a keyframe, but not for each step of growth', async () => {
  const { renditions, encode } = renditionsOn('vaapi');
  renditions.want(['restored'], 1_000_000);
  await encode();
  const after = async (bps: number) => {
    renditions.setBitrate('restored', bps);
    return (await encode())[0];
  };
  assert.equal(await after(1_080_000), 'restored');
  assert.equal(await after(1_166_400), 'restored');
  assert.equal(await after(1_259_712), 'restored key');
  assert.equal(await after(900_000), 'restored key');
  assert.equal(await after(900_000), 'restored');
  assert.deepEqual(renditions.encoders, { restored: 'vaapi' });
  renditions.close();
});
