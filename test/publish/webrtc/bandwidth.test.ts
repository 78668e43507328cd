import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BandwidthEstimate } from '../../../src/publish/webrtc/bandwidth.ts';

/** Runs `seconds` updates at a constant bitrate and gives the last estimate. */
function run(estimate: BandwidthEstimate, seconds: number, sent: number, remb?: number, loss = 0): number {
  let bps = 0;
  for (let i = 0; i < seconds; i++) {
    if (remb !== undefined) estimate.remb(remb);
    bps = estimate.update(sent, loss) ?? 0;
  }
  return bps;
}

test('nothing is known before something was sent', () => {
  assert.equal(new BandwidthEstimate().update(0, 0), undefined);
});

test('a viewer that joins a running stream does not lower it', () => {
  const estimate = new BandwidthEstimate();
  assert.equal(estimate.update(500_000, 0), undefined, 'it joined within this second');
  assert.equal(estimate.update(6_000_000, 0), undefined);
  assert.ok(estimate.update(6_000_000, 0)! >= 6_000_000);
  assert.equal(estimate.limited, false);
});

test('a free path lets the bitrate rise', () => {
  const estimate = new BandwidthEstimate();
  assert.ok(run(estimate, 20, 2_000_000, 3_000_000) > 6_000_000);
});

test('a quiet picture does not look like a narrow path', () => {
  const estimate = new BandwidthEstimate();
  // A receiver of 200 kbit/s estimates 300 kbit/s, whatever its path; a keyframe makes one second larger.
  run(estimate, 10, 200_000, 300_000);
  assert.ok(run(estimate, 1, 500_000) >= 2_000_000);
  assert.ok(run(estimate, 1, 200_000) >= 2_000_000);
});

test('an overused path limits the bitrate to what it carries, and is tried again later', () => {
  const estimate = new BandwidthEstimate();
  const limited = run(estimate, 3, 2_000_000, 800_000);
  assert.equal(limited, 800_000);
  assert.equal(estimate.limited, true);
  const later = run(estimate, 10, 800_000, 1_200_000);
  assert.ok(later > 1_500_000);
  run(estimate, 10, 800_000, 1_200_000);
  assert.equal(estimate.limited, false);
});

test('heavy loss lowers the bitrate without any estimate, light loss does not', () => {
  assert.ok(run(new BandwidthEstimate(), 3, 1_000_000, undefined, 0.3) < 1_000_000);
  assert.ok(run(new BandwidthEstimate(), 3, 1_000_000, undefined, 0.05) >= 2_000_000);
});
