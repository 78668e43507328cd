import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RecentFrames } from '../../../src/web/wall/recent-frames.ts';

const frames = (restored: number, passthrough = 0) => ({ restored, passthrough, dropped: 0 });

test('a month of restored frames does not hide a minute without', () => {
  const recent = new RecentFrames();
  recent.add(frames(60_000_000), 0);
  assert.deepEqual(recent.frames, frames(0), 'nothing is known from one total');
  for (let second = 1; second <= 30; second++) recent.add(frames(60_000_000 + 25 * second), second * 1000);
  assert.deepEqual(recent.frames, frames(750));
  for (let second = 31; second <= 100; second++) {
    recent.add(frames(60_000_750, 25 * (second - 30)), second * 1000);
  }
  assert.deepEqual(recent.frames, frames(0, 1500));
});

test('totals that begin anew are no negative figures', () => {
  const recent = new RecentFrames();
  recent.add(frames(1000), 0);
  recent.add(frames(10), 1000);
  recent.add(frames(35), 2000);
  assert.deepEqual(recent.frames, frames(25));
});
