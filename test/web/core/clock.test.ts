import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayClock } from '../../../src/web/core/clock.ts';

test('without samples the offset is not known', () => {
  assert.equal(new GatewayClock().offset, undefined);
});

test('the sample with the shortest round trip counts, not the newest', () => {
  const clock = new GatewayClock();
  clock.add(1_000, 6_500, 1_200); // asked at 1000, answered at 1200: middle 1100
  clock.add(2_000, 7_405, 2_010);
  clock.add(3_000, 8_900, 3_800);
  assert.equal(clock.offset, 5_400);
  assert.equal(clock.uncertainty, 5);
});

test('samples older than two minutes are forgotten', () => {
  const clock = new GatewayClock();
  clock.add(0, 5_000, 2);
  clock.add(200_000, 205_100, 200_100);
  assert.equal(clock.offset, 5_050);
});

test('answers from before the question and clocks that are no number are ignored', () => {
  const clock = new GatewayClock();
  clock.add(2_000, 1, 1_000);
  clock.add(1_000, Number.NaN, 1_001);
  assert.equal(clock.offset, undefined);
});
