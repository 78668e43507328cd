import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  bitrate,
  bytes,
  codec,
  duration,
  fps,
  ms,
  percent,
  since,
  timecode,
} from '../../../src/web/core/format.ts';

test('milliseconds keep one decimal below ten and group thousands', () => {
  assert.deepEqual([7.44, 9.97, 84.6, 12_345].map(ms), ['7.4', '10', '85', '12\u2009345']);
  assert.deepEqual([0, undefined].map(ms), ['0', '–']);
});

test('a share is 100 % only when nothing is missing', () => {
  assert.deepEqual([1, 0.99996, 0.994, 0.5, 0.004, 0].map(percent), [
    '100',
    '99.9',
    '99.4',
    '50',
    '0.4',
    '0',
  ]);
});

test('bitrates, rates, codecs and ages in the words of the field', () => {
  assert.deepEqual([842_000, 2_440_000].map(bitrate), ['842 kbit/s', '2.4 Mbit/s']);
  assert.deepEqual([25.008, 29.97, 12.5].map(fps), ['25', '30', '12.5']);
  assert.deepEqual(['hevc', 'h264', 'vp8'].map(codec), ['H.265', 'H.264', 'VP8']);
  assert.equal(since('2026-01-01T00:00:00Z', Date.parse('2026-01-01T02:10:00Z')), '2 h');
});

test('sizes, durations and places in a video', () => {
  assert.deepEqual([0, 999, 1000, 640_400, 999_600, 12_449_000, 4 * 2 ** 30].map(bytes), [
    '0 bytes',
    '999 bytes',
    '1 KB',
    '640 KB',
    '1.0 MB',
    '12.4 MB',
    '4.3 GB',
  ]);
  assert.deepEqual([0, 8.4, 59.6, 84, 3599.7, 7500, 14_400].map(duration), [
    '0 s',
    '8 s',
    '1 min',
    '1 min 24 s',
    '1 h',
    '2 h 5 min',
    '4 h',
  ]);
  assert.deepEqual([0, 4.8, 0.29, 61.999, 3723.4].map(timecode), [
    '0:00.00',
    '0:04.80',
    '0:00.29',
    '1:01.99',
    '1:02:03.40',
  ]);
});
