import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseLogLine, parsePacketLine, parseTimeBase } from '../../src/codec/decoder-log.ts';

const VIDEO =
  'n:   7 pts:  25200 pts_time:0.28    pos:    38662 fmt:yuv420p sar:1/1 s:426x240 i:P iskey:0 type:P ';
const AUDIO =
  'n:12 pts:24960 pts_time:0.277333 pos:-1 fmt:s16 channels:2 chlayout:stereo rate:48000 nb_samples:1024 checksum:06C51402 plane_checksums: [ 06C51402 ]';
const frame = { t: 'frame', pts: 25_200, width: 426, height: 240 };
const audio = { t: 'audio', pts: 24_960, samples: 1024 };

test('a picture and a piece of audio', () => {
  assert.deepEqual(parseLogLine(`[showinfo@frame @ 0x5630] [info] ${VIDEO}`), [frame]);
  assert.deepEqual(parseLogLine(`[ashowinfo@audio @ 0x5631] [info] ${AUDIO}`), [audio]);
});

test('lines that two threads wrote into each other', () => {
  const cut = AUDIO.indexOf('plane_checksums');
  assert.deepEqual(
    parseLogLine(`[ashowinfo@audio @ 0x5631] [info] ${AUDIO.slice(0, cut)}${VIDEO}${AUDIO.slice(cut)}`),
    [frame, audio],
  );
  assert.deepEqual(parseLogLine(`[showinfo@frame @ 0x5630] [info] ${VIDEO}${AUDIO}`), [frame, audio]);
  assert.deepEqual(parseLogLine(`[showinfo@frame @ 0x5630] [info] color_range:tv${AUDIO}`), [audio]);
});

test('filters as ffmpeg 6.0 names them', () => {
  assert.deepEqual(parseLogLine(`[frame @ 0x5630] [info] ${VIDEO}`), [frame]);
  assert.deepEqual(parseLogLine(`[audio @ 0x5631] [info] ${AUDIO}`), [audio]);
  assert.deepEqual(parseLogLine('[source @ 0x5633] [verbose] w:640 h:360 sar:1/1 -> w:640 h:360 sar:1/1'), [
    { t: 'size', width: 640, height: 360 },
  ]);
});

test('lines that the console cut in two once it was sent a command', () => {
  for (const named of ['', '[info] ']) {
    assert.deepEqual(parseLogLine(`${named}${VIDEO}`, true), [frame]);
    assert.deepEqual(parseLogLine(`${named}${AUDIO}`, true), [audio]);
    assert.deepEqual(parseLogLine(`${named}${VIDEO}`), []);
  }
});

test('a picture without a timestamp, and one of a size that no filter makes', () => {
  const line = `[showinfo@frame @ 0x5630] [info] ${VIDEO}`;
  assert.deepEqual(parseLogLine(line.replace('25200', 'NOPTS')), [{ ...frame, pts: undefined }]);
  assert.deepEqual(parseLogLine(line.replace('426x240', '99999x99999')), []);
});

test('what a source calls its segments is no picture', () => {
  for (const said of [VIDEO, AUDIO, `[showinfo@frame @ 0x5630] [info] ${VIDEO}`]) {
    assert.deepEqual(parseLogLine(`[hls @ 0x5632] [info] Opening 'http://camera/${said}' for reading`), []);
  }
});

test('packets, with their time base', () => {
  assert.equal(parseTimeBase('#tb 0: 1/90000'), 1 / 90_000);
  assert.deepEqual(parsePacketLine('0,      -1024,       7200,      512,    16523, 0x798b71d5, F=0x0'), {
    pts: 7200,
    size: 16_523,
  });
  assert.deepEqual(parsePacketLine('0, -9223372036854775808, -9223372036854775808, 0, 9, 0x0'), {
    pts: undefined,
    size: 9,
  });
  assert.equal(parsePacketLine('#codec_id 0: h264'), undefined);
});

test('packets that carry a producer reference time', () => {
  const timed = (rest: string) => parsePacketLine(`0, 9000, 9000, 3600, 679, 0xca530881${rest}`)?.timed;
  assert.equal(timed(', F=0x0, S=1,       16'), true);
  assert.equal(timed(', S=1,       16, 0x01234567'), true);
  assert.equal(timed(', S=1,        8'), undefined);
  assert.equal(timed(', F=0x0'), undefined);
});
