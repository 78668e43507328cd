import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OutputClock } from '../../src/restore/clock.ts';

const START = 1_795_000_000_000;

test('the first frame is anchored at its arrival, later ones follow the source clock', () => {
  const clock = new OutputClock();
  assert.equal(clock.video(777, START), START * 90);
  // Arrives 25 ms late: its output time does not care.
  assert.equal(clock.video(817, START + 65), (START + 40) * 90);
});

test('a jump of more than 5 s either way, and a 33-bit wrap, re-anchor and only move forward', () => {
  const wrap = 2 ** 33 / 90;
  for (const jump of [60_000, -60_000, -wrap]) {
    const clock = new OutputClock();
    clock.video(wrap, START);
    const before = clock.video(wrap + 40, START + 40)!;
    assert.equal(clock.video(wrap + 80 + jump, START + 80), before + 40 * 90);
    assert.equal(clock.video(wrap + 120 + jump, START + 120), before + 80 * 90);
    assert.equal(clock.jumps, 1);
  }
});

test('a server that begins with two seconds from its store does not put the clock ahead of time', () => {
  const clock = new OutputClock();
  let last = 0;
  for (let i = 0; i < 50; i++) {
    const ticks = clock.video(i * 40, START + i * 5)!;
    assert.ok(ticks > last && ticks / 90 <= START + i * 5 + 0.1);
    last = ticks;
  }
  // Live from here on: at its own pace, at its arrival.
  assert.equal(clock.video(50 * 40, START + 285), (START + 285) * 90);
  assert.equal(clock.video(51 * 40, START + 340), (START + 325) * 90);
});

test('frames out of order are dropped, not published', () => {
  const clock = new OutputClock();
  clock.video(100, START);
  clock.video(140, START + 40);
  assert.equal(clock.video(120, START + 50), undefined);
  assert.equal(clock.video(140, START + 60), undefined);
  assert.ok(clock.video(180, START + 80));
});

test('a source that steps back by less goes on at once, at its arrival', () => {
  const clock = new OutputClock();
  let last = 0;
  for (let i = 0; i < 100; i++) last = clock.video(i * 40, START + i * 40)!;
  const back = (i: number) => clock.video(1000 + i * 40, START + 4000 + i * 40);
  assert.deepEqual([back(0), back(1)], [undefined, undefined], 'they may be out of order');
  assert.equal(back(2), last + 3 * 40 * 90);
  assert.equal(back(3), last + 4 * 40 * 90);
  assert.equal(clock.jumps, 1);
});

test('frames that are out of order now and then are no step back', () => {
  const clock = new OutputClock();
  for (let i = 1; i < 100; i++) {
    assert.ok(clock.video(i * 40, START + i * 40));
    assert.equal(clock.video(i * 40, START + i * 40), undefined, 'the same picture again');
    assert.equal(clock.video(i * 40 - 20, START + i * 40), undefined);
  }
  assert.equal(clock.jumps, 0);
});

test('a new session goes on after the old one', () => {
  const first = new OutputClock();
  const end = first.video(5, START)!;
  const second = new OutputClock(end);
  assert.ok(second.video(0, START - 1000)! > end);
});

test('a camera whose crystal is off by 0.02 % is followed for hours', () => {
  for (const rate of [1.0002, 0.9998]) {
    const clock = new OutputClock();
    let worst = 0;
    let last = 0;
    for (let i = 0; i < 200_000; i++) {
      const arrival = START + i * 40 + (i % 7) * 3;
      const ticks = clock.video(i * 40 * rate, arrival)!;
      assert.ok(ticks > last);
      last = ticks;
      worst = Math.max(worst, Math.abs(ticks / 90 - arrival));
    }
    assert.ok(worst < 60, `worst distance ${worst} ms`);
    assert.equal(clock.jumps, 0);
  }
});

test('audio has no time before the first picture, and the same clock after it', () => {
  const clock = new OutputClock();
  assert.equal(clock.audio(100), undefined);
  clock.video(100, START);
  assert.equal(clock.audio(120), (START + 20) * 90);
});
