import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BandwidthEstimate } from '../../../src/publish/webrtc/bandwidth.ts';

/** Runs `seconds` updates at a constant bitrate and gives the last estimate. */
function run(estimate: BandwidthEstimate, seconds: number, sent: number, feed?: () => void): number {
  let bps = 0;
  for (let i = 0; i < seconds; i++) {
    feed?.();
    bps = estimate.update(sent) ?? 0;
  }
  return bps;
}

test('nothing is known before something was sent', () => {
  assert.equal(new BandwidthEstimate().update(0), undefined);
});

test('a free path lets the bitrate rise', () => {
  const estimate = new BandwidthEstimate();
  const feed = () => estimate.remb(3_000_000);
  assert.ok(run(estimate, 20, 2_000_000, feed) > 6_000_000);
});

test('a quiet picture does not look like a narrow path', () => {
  const estimate = new BandwidthEstimate();
  // A receiver of 200 kbit/s estimates 300 kbit/s, whatever its path; a keyframe makes one second larger.
  run(estimate, 10, 200_000, () => estimate.remb(300_000));
  assert.ok(run(estimate, 1, 500_000) >= 2_000_000);
  assert.ok(run(estimate, 1, 200_000) >= 2_000_000);
});

test('an overused path limits the bitrate to what it carries, and is tried again later', () => {
  const estimate = new BandwidthEstimate();
  const limited = run(estimate, 3, 2_000_000, () => estimate.remb(800_000));
  assert.equal(limited, 800_000);
  assert.equal(estimate.limited, true);
  const later = run(estimate, 10, 800_000, () => estimate.remb(1_200_000));
  assert.ok(later > 1_500_000);
});

test('heavy loss lowers the bitrate without any estimate, light loss does not', () => {
  const heavy = new BandwidthEstimate();
  assert.ok(run(heavy, 3, 1_000_000, () => heavy.loss(0.3)) < 1_000_000);
  const light = new BandwidthEstimate();
  assert.ok(run(light, 3, 1_000_000, () => light.loss(0.03)) >= 2_000_000);
});
