import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrivalOfRtp, GlassMeter } from '../../../src/web/player/glass.ts';

const low32 = (unixMs: number): number => Math.round(unixMs * 90) % 2 ** 32;

test('an RTP timestamp gives back the Unix time it was cut from', () => {
  const arrival = 1_795_000_000_000;
  assert.equal(arrivalOfRtp(low32(arrival), arrival + 180), arrival);
});

test('also when the 32 bits wrapped between arrival and display, either way', () => {
  const wrap = Math.ceil((1_795_000_000_000 * 90) / 2 ** 32) * 2 ** 32; // ticks of a wrap
  const before = (wrap - 9_000) / 90;
  assert.equal(arrivalOfRtp(low32(before), before + 200), before);
  const after = (wrap + 90) / 90;
  assert.equal(arrivalOfRtp(low32(after), after - 20), after); // clocks a little apart
});

test('p50 and p95 over the last ten seconds', () => {
  const meter = new GlassMeter();
  for (let i = 0; i < 100; i++) meter.add(5_000, 0, 0);
  for (let i = 1; i <= 100; i++) meter.add(i, 20_000 + i, 0);
  assert.deepEqual(meter.summary(20_100), { p50: 51, p95: 96, samples: 100 });
});

test('a report holds at most 256 samples and each sample once', () => {
  const meter = new GlassMeter();
  for (let i = 0; i < 300; i++) meter.add(i, i, i * 40);
  const { ms, pts } = meter.take();
  assert.equal(ms.length, 256);
  assert.equal(ms.at(-1), 299);
  assert.deepEqual([pts.length, pts.at(-1)], [256, 299 * 40 * 90]);
  assert.deepEqual(meter.take(), { ms: [], pts: [] });
});

test('what cannot be a latency is left out', () => {
  const meter = new GlassMeter();
  for (const ms of [Number.NaN, -5_000, 1e9]) meter.add(ms, 0, 0);
  assert.equal(meter.summary(0), undefined);
});
