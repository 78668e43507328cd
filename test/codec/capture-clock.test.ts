import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CaptureClock, ProducerTimeReader } from '../../src/codec/capture-clock.ts';
import { decodeFrames } from '../support/decode.ts';
import { type RtspCameraOptions, startRtspCamera } from '../support/rtsp-camera.ts';
import { startRtspRelay } from '../support/rtsp-relay.ts';

/** Frames a second: few, so that a picture taken for the next one shows. */
const RATE = 10;
/** ms */
const SLOW = 4000;

/** A camera whose clock is `shift` ms off: its frames from the first whose capture time is known, or known wrong. */
async function capturedFrames(shift: number, codec: RtspCameraOptions['codec'] = 'h264') {
  await using camera = await startRtspCamera({ codec, rate: RATE });
  await using relay = await startRtspRelay(camera.url, shift);
  const known = ({ capture }: { capture?: unknown }) => capture !== undefined;
  const { frames } = await decodeFrames(relay.url, 0, {
    transport: 'tcp',
    until: ({ frames }) => frames.filter(known).length >= 20,
  });
  return frames.filter(known);
}

// This camera says when it sent a picture. ffmpeg lets one go when the next begins, but JPEG, whose end it sees.
for (const [codec, held] of [
  ['h264', 1],
  ['h265', 1],
  ['mjpeg', 0],
] as const) {
  test(`a camera’s sender reports say when its pictures were taken, ${codec}`, async () => {
    const frames = await capturedFrames(-SLOW, codec);
    const [first] = frames;
    const least = SLOW + (held * 1000) / RATE;
    for (const { arrival, capture, pts } of frames) {
      assert.equal(typeof capture, 'number');
      const age = arrival - (capture as number);
      assert.ok(age > least - 1000 / RATE / 2 && age < 10_000, `taken ${age} ms before arrival`);
      const since = (capture as number) - (first!.capture as number);
      assert.ok(Math.abs(since - (pts - first!.pts) / 90) < 50, 'captures are as far apart as timestamps');
    }
  });
}

test('a camera an hour off is not believed', async () => {
  for (const { capture } of await capturedFrames(-3_600_000)) assert.equal(capture, 'wrong');
});

test('times of packets that carry none are the muxer’s own and do not count', () => {
  const clock = new CaptureClock();
  clock.learn({ pts: 9000, capture: 1_000_000 });
  assert.equal(clock.captureOf(9000, 1_000_000, 0), undefined);
  clock.packet(18_000, true, false);
  clock.learn({ pts: 18_000, capture: 1_000_200 });
  assert.equal(clock.captureOf(27_000, 1_000_340, 0), 1_000_300);
  // The host's clock, and the camera's with it, was set an hour back: nothing else changed.
  clock.learn({ pts: 18_000, capture: 1_000_200 - 3_600_000 });
  assert.equal(clock.captureOf(27_000, 1_000_340, -3_600_000), 1_000_300);
  assert.equal(clock.captureOf(undefined, 1_000_200, 0), undefined);
});

test('one frame that cannot be says nothing of a camera, most of them do', () => {
  const clock = new CaptureClock();
  clock.packet(0, true, false);
  clock.learn({ pts: 0, capture: 1_000_000 });
  /** A frame that arrived so many ms after its capture. */
  const after = (age: number) => clock.captureOf(0, 1_000_000 + age, 0);
  assert.equal(after(40), 1_000_000);
  for (let frame = 0; frame < 300; frame++) {
    // Reordered pictures: one in three comes before its time.
    assert.equal(after(frame % 3 === 0 ? -200 : 40), frame % 3 === 0 ? undefined : 1_000_000);
  }
  for (let frame = 0; frame < 100; frame++) after(-3000);
  assert.equal(after(-3000), 'wrong');
  assert.equal(after(40), 'wrong', 'a single one that fits is chance');
  for (let frame = 0; frame < 100; frame++) after(40);
  assert.equal(after(40), 1_000_000, 'its clock was set right');
});

test('pictures that arrive late do not make a good clock wrong, however late and however many', () => {
  const clock = new CaptureClock();
  clock.packet(0, true, false);
  clock.learn({ pts: 0, capture: 1_000_000 });
  const after = (age: number, set = 0) => clock.captureOf(0, 1_000_000 + age, set);
  assert.equal(after(40), 1_000_000);
  for (let age = 40; age < 60_000; age += 40) assert.notEqual(after(age), 'wrong', `${age} ms late`);
  assert.equal(after(60_000), undefined, 'and count from arrival');
  assert.equal(after(40), 1_000_000);
  // This host's clock is set forward, and the camera's is not.
  for (let frame = 0; frame < 100; frame++) after(40, 3_600_000);
  assert.equal(after(40, 3_600_000), 'wrong');
  // Set right, it is late no more.
  for (let frame = 0; frame < 100; frame++) after(40);
  assert.equal(after(40), 1_000_000);
  // The camera's clock is set back.
  clock.learn({ pts: 0, capture: 1_000_000 - 60_000 });
  for (let frame = 0; frame < 100; frame++) after(40);
  assert.equal(after(40), 'wrong');
});

test('nor does the first frame whose time is known, where it alone cannot be', () => {
  const clock = new CaptureClock();
  clock.packet(0, true, false);
  clock.learn({ pts: 0, capture: 1_000_000 });
  assert.equal(clock.captureOf(0, 1_000_000 - 200, 0), undefined);
  assert.equal(clock.captureOf(0, 1_000_040, 0), 1_000_000);
});

test('a packet put together from several carries the time of its successor', () => {
  const clock = new CaptureClock();
  clock.packet(9000, true, true);
  clock.learn({ pts: 9000, capture: 1_000_000 });
  assert.equal(clock.captureOf(9000, 1_000_100, 0), undefined, 'which is not known yet');
  // In decoding order the next one may be shown later.
  clock.packet(27_000, true, true);
  clock.learn({ pts: 9000, capture: 1_000_000 });
  assert.equal(clock.captureOf(27_000, 1_000_100, 0), 1_000_000);
  assert.equal(clock.captureOf(9000, 1_000_100, 0), 999_800);
});

test('producer times are read whatever pieces the file comes in', () => {
  const box = (type: string, body: Buffer) => {
    const head = Buffer.alloc(8);
    head.writeUInt32BE(8 + body.length, 0);
    head.write(type, 4, 'latin1');
    return Buffer.concat([head, body]);
  };
  const time = Buffer.alloc(24);
  time.writeUInt32BE(0x01_00_00_18, 0);
  time.writeUInt32BE(2_208_988_800 + 1000, 8);
  time.writeUInt32BE(2 ** 31, 12);
  time.writeBigUInt64BE(123_456n, 16);
  const file = Buffer.concat([
    box('moof', Buffer.alloc(50)),
    box('prft', time),
    box('mdat', Buffer.alloc(99)),
  ]);
  for (const piece of [1, 7, file.length * 2]) {
    const reader = new ProducerTimeReader();
    const twice = Buffer.concat([file, file]);
    const times = [];
    for (let at = 0; at < twice.length; at += piece)
      times.push(...reader.push(twice.subarray(at, at + piece)));
    const expected = { pts: 123_456, capture: 1_000_500 };
    assert.deepEqual(times, [expected, expected]);
  }
});
