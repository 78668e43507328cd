import assert from 'node:assert/strict';
import { test } from 'node:test';
import { GatewayClock, localNow } from '../../../src/web/core/clock.ts';

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

test('what was measured before a host was suspended, whose clock stood still, is forgotten', () => {
  const clock = new GatewayClock();
  clock.add(1_000, 6_000, 1_002);
  clock.add(4_000, 1_900, 4_100);
  assert.equal(clock.offset, -2_150);
});

test('the time of day is the one by which the gateway dates', () => {
  const clock = new GatewayClock();
  const local = localNow();
  clock.add(local - 2, local + 5_000, local, local + 3_605_000);
  const ahead = clock.now() - localNow();
  assert.ok(Math.abs(ahead - 3_605_001) < 1, `${ahead}`);
  assert.equal(clock.offset, 5_001);
});

test('answers from before the question and clocks that are no number are ignored', () => {
  const clock = new GatewayClock();
  clock.add(2_000, 1, 1_000);
  clock.add(1_000, Number.NaN, 1_001);
  assert.equal(clock.offset, undefined);
});
