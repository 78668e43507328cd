import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobStatus } from '../../../src/contracts/jobs.ts';
import { ApiError } from '../../../src/web/core/api.ts';
import { nearest } from '../../../src/web/files/frame-times.ts';
import { Rate } from '../../../src/web/files/rate.ts';
import type { Sending } from '../../../src/web/files/uploads.ts';
import { jobLine, orderLine, sendingLine, share } from '../../../src/web/files/words.ts';

function job(over: Partial<JobStatus>): JobStatus {
  return {
    id: 'a'.repeat(32),
    name: 'gate.mp4',
    state: 'queued',
    owner: 'ada',
    created: '2026-11-26T01:00:00.000Z',
    attempts: 0,
    settings: {
      target_resolution: '720p',
      denoise_strength: 1,
      model: 'auto',
      smoothing: 0.5,
      codec: 'h264',
      container: 'mp4',
    },
    input: { bytes: 1_931_277, container: 'mov', codec: 'h264', width: 640, height: 360, hasAudio: true },
    urls: { self: '', video: '', frames: '', compare: '' },
    ...over,
  };
}

const progress = { stage: 'restoring', frames: 1312, total: 5000, fps: 14.3, left: 258 } as const;

test('a job says what happens to it, in words', () => {
  assert.equal(jobLine(job({}), 0), 'Waiting for its turn.');
  assert.equal(jobLine(job({}), 1), 'Waiting: 1 file before it.');
  assert.equal(jobLine(job({ state: 'running' }), 0), 'Looking at the file.');
  assert.equal(
    jobLine(job({ state: 'running', progress }), 0),
    'Frame 1\u2009312 of 5\u2009000 · 14.3 fps · 4 min 18 s left',
  );
  const unknown = { stage: 'restoring', frames: 12, total: undefined, fps: 0, left: undefined } as const;
  assert.equal(jobLine(job({ state: 'running', progress: unknown }), 0), 'Frame 12');
  const error = { code: 'CLEARWAY_RESTORER_DOWN', message: 'the restorer ended', retryable: true } as const;
  assert.equal(jobLine(job({ error }), 0), 'The restorer ended. It is tried again.');
  assert.equal(jobLine(job({ state: 'failed', error }), 0), 'The restorer ended.');
});

test('a share is never full before the job is, though totals are estimates', () => {
  assert.equal(share(job({ state: 'running', progress })), 1312 / 5000);
  assert.equal(share(job({ state: 'running', progress: { ...progress, frames: 6000 } })), 0.99);
  assert.equal(share(job({ state: 'running', progress: { ...progress, total: undefined } })), undefined);
  assert.equal(share(job({ state: 'queued', progress })), undefined);
  assert.equal(share(job({ state: 'done' })), 1);
});

test('what was asked for, and what came of it', () => {
  assert.equal(orderLine(job({})), '640 × 360 to 720p · automatic model · H.264 · 1.9 MB');
  const result = {
    frames: 500,
    duration: 20,
    width: 640,
    height: 360,
    model: 'lite',
    provider: 'cpu',
    warnings: [],
  };
  assert.equal(orderLine(job({ state: 'done', result })), '640 × 360 · lite · H.264 · 1.9 MB');
});

test('an upload says how far it is, how fast, and what stops it', () => {
  const sending: Sending = {
    id: '1',
    name: 'gate.mp4',
    size: 400e6,
    sent: 100e6,
    speed: 10e6,
    state: 'sending',
    error: undefined,
  };
  assert.equal(sendingLine(sending), 'Sending 100 MB of 400 MB · 10.0 MB/s · 30 s left');
  assert.equal(sendingLine({ ...sending, speed: 0 }), 'Sending 100 MB of 400 MB · 0 bytes/s');
  assert.match(sendingLine({ ...sending, state: 'retrying' }), /goes on by itself from 100 MB/);
  const error = new ApiError(507, 'CLEARWAY_DISK_FULL', 'the disk is full');
  assert.equal(sendingLine({ ...sending, state: 'refused', error }), 'The disk is full.');
});

test('speed is that of the last seconds, not of the whole', () => {
  const rate = new Rate();
  assert.equal(rate.at(0, 0), undefined);
  assert.equal(rate.at(1000, 1000), 1000);
  for (let at = 2000; at <= 20_000; at += 1000) rate.at(at, 1000);
  assert.equal(rate.at(21_000, 1000), 0);
  rate.reset();
  assert.equal(rate.at(22_000, 9000), undefined);
});

test('the frame nearest to a time, at any spacing', () => {
  const times = [0, 0.04, 0.08, 0.5, 0.54];
  for (const [index, time] of times.entries()) assert.equal(nearest(times, time), index);
  assert.equal(nearest(times, -1), 0);
  assert.equal(nearest(times, 0.061), 2);
  assert.equal(nearest(times, 0.2), 2);
  assert.equal(nearest(times, 0.3), 3);
  assert.equal(nearest(times, 9), 4);
  assert.equal(nearest([0], 3), 0);
});
