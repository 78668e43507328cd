import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission } from '../../src/restore/admission.ts';
import { Ladder } from '../../src/restore/ladder.ts';
import { chooseRestoration } from '../../src/restore/working-height.ts';

const LITE = { fixed: 0.5, perMegapixel: 45 };
const BASE = { fixed: 2, perMegapixel: 400 };

test('the largest height that fits the frame interval is chosen, and the reason says why', () => {
  const at = (fps: number, streams = 1) => chooseRestoration({ lite: LITE }, 'cpu', fps, streams);
  assert.equal(at(25).height, 540);
  assert.equal(at(10).height, 720);
  assert.equal(at(50).height, 360);
  assert.equal(at(25, 2).height, 360);
  assert.match(at(25).reason, /lite takes 23\.8 ms a 960x540 frame on cpu; 24 ms are free at 25 fps/);
});

test('a host too slow for the smallest height says so', () => {
  const choice = chooseRestoration({ base: BASE }, 'cpu', 25, 1);
  assert.deepEqual([choice.model, choice.height], ['base', 360]);
  assert.match(choice.reason, /some frames will pass through/);
});

test('among the models that hold a height the heaviest is taken', () => {
  const fast = { fixed: 0.2, perMegapixel: 2 };
  assert.equal(
    chooseRestoration({ lite: { fixed: 0.1, perMegapixel: 1 }, base: fast }, 'cuda', 25, 1).model,
    'base',
  );
});

test('with no model at all frames pass through', () => {
  assert.equal(chooseRestoration({}, 'cpu', 25, 1).model, 'none');
});

function run(ladder: Ladder, frames: number, missed: boolean, clock: { now: number }): number[] {
  const moves: number[] = [];
  for (let i = 0; i < frames; i++) {
    clock.now += 40;
    const move = ladder.observe(missed, clock.now);
    if (move !== 0) moves.push(move);
  }
  return moves;
}

test('missed deadlines step down to a lighter model, then to none, and quiet climbs back', () => {
  const clock = { now: 0 };
  const ladder = new Ladder(['base', 'lite'], 0);
  assert.deepEqual(run(ladder, 50, true, clock), []);
  assert.deepEqual(run(ladder, 50, true, clock), [1]);
  assert.equal(ladder.model, 'lite');
  assert.deepEqual(run(ladder, 100, true, clock), [1]);
  assert.equal(ladder.model, 'none');
  assert.deepEqual(run(ladder, 100, false, clock), []);
  assert.deepEqual(run(ladder, 5000, false, clock), [-1, -1]);
  assert.equal(ladder.model, 'base');
});

test('each climb in vain waits longer before the next', () => {
  const clock = { now: 0 };
  const ladder = new Ladder(['lite'], 0);
  const waits: number[] = [];
  for (let round = 0; round < 4; round++) {
    run(ladder, 100, true, clock);
    assert.equal(ladder.model, 'none');
    const down = clock.now;
    while (ladder.model === 'none') run(ladder, 1, false, clock);
    waits.push(clock.now - down);
  }
  assert.ok(
    waits.every((wait, i) => i === 0 || wait > waits[i - 1]! * 1.5),
    `waits ${waits}`,
  );
});

test('a climb that held for long makes the next wait short again', () => {
  const clock = { now: 0 };
  const ladder = new Ladder(['lite'], 0);
  const waitForClimb = () => {
    const down = clock.now;
    while (ladder.model === 'none') run(ladder, 1, false, clock);
    return clock.now - down;
  };
  for (let round = 0; round < 6; round++) {
    run(ladder, 100, true, clock);
    waitForClimb();
  }
  // An hour without a miss.
  run(ladder, 90_000, false, clock);
  run(ladder, 100, true, clock);
  assert.equal(ladder.model, 'none');
  assert.ok(waitForClimb() < 11_000);
});

test('now and then a late frame changes nothing', () => {
  const clock = { now: 0 };
  const ladder = new Ladder(['lite'], 0);
  for (let i = 0; i < 200; i++) assert.deepEqual(run(ladder, 1, i % 4 === 0, clock), []);
});

test('a stream climbs only where there is room', () => {
  const clock = { now: 0 };
  const ladder = new Ladder(['lite'], 0);
  run(ladder, 100, true, clock);
  assert.equal(ladder.model, 'none');
  clock.now += 60_000;
  const asked: string[] = [];
  const refuse = (model: string) => {
    asked.push(model);
    return false;
  };
  assert.equal(ladder.observe(false, clock.now, refuse), 0);
  // The misses of before are still in the window until frames without one have filled it.
  for (let i = 0; i < 100; i++) assert.equal(ladder.observe(false, clock.now, refuse), 0);
  assert.ok(asked.length > 0 && asked.every((model) => model === 'lite'));
  assert.equal(
    ladder.observe(false, clock.now, () => true),
    -1,
  );
});

test('room on a shared accelerator is given to one stream at a time', () => {
  let load = 0;
  const admission = new Admission(() => load);
  assert.ok(admission.admits(0.9, 0), 'an idle accelerator protects nobody');
  assert.ok(!admission.admits(0.1, 1000), 'the load of the last one does not show yet');
  load = 0.5;
  assert.ok(admission.admits(0.2, 5000));
  load = 0.7;
  assert.ok(!admission.admits(0.2, 10_000));
  assert.ok(admission.admits(0.04, 10_000));
});
