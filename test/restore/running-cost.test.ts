import assert from 'node:assert/strict';
import { test } from 'node:test';
import { RunningCost } from '../../src/restore/running-cost.ts';

const [WIDTH, HEIGHT] = [1000, 1000];
/** 100 ms a frame of a million samples. */
const make = () => new RunningCost({ lite: { fixed: 0, perMegapixel: 100 } });
const expected = (cost: RunningCost) => cost.expected('lite', WIDTH, HEIGHT)!;

test('one run that is faster than a host busy at start measured mends the estimate', () => {
  const cost = make();
  assert.equal(expected(cost), 100);
  cost.ran('lite', WIDTH, HEIGHT, 10, 0);
  assert.equal(expected(cost), 10);
});

test('runs that take longer raise the estimate, a single slow one hardly', () => {
  const cost = make();
  cost.ran('lite', WIDTH, HEIGHT, 5000, 0);
  assert.ok(expected(cost) < 140, `${expected(cost)}`);
  for (let i = 0; i < 60; i++) cost.ran('lite', WIDTH, HEIGHT, 300, 0);
  assert.ok(Math.abs(expected(cost) - 300) < 5, `${expected(cost)}`);
});

test('what lasts is what the fastest run of a minute took; a model that has not run is as slow as the slowest', () => {
  const speed = { fixed: 0, perMegapixel: 100 };
  const cost = new RunningCost({ lite: speed, base: speed });
  const lasting = () => Object.values(cost.lasting).map(({ perMegapixel }) => Math.round(perMegapixel));
  const minute = (from: number, ms: number) => {
    for (let now = from; now <= from + 60_000; now += 1000) cost.ran('lite', WIDTH, HEIGHT, ms, now);
  };
  assert.equal(cost.expected('base', WIDTH, HEIGHT), 100, 'asked for is not run');
  minute(0, 200);
  cost.ran('lite', WIDTH, HEIGHT, 150, 61_000);
  minute(62_000, 200);
  assert.deepEqual(lasting(), [150, 150]);
  minute(123_000, 200);
  minute(184_000, 200);
  assert.deepEqual(lasting(), [200, 200]);
  cost.ran('lite', WIDTH, HEIGHT, 50, 245_000);
  assert.deepEqual(lasting(), [50, 100]);
});

test('a refused model is tried now and then, and the trials of a slow one leave the accelerator free', () => {
  const cost = make();
  let trials = 0;
  for (let now = 0; now < 20_000; now += 4) if (cost.trial('lite', WIDTH, HEIGHT, now)) trials++;
  assert.equal(trials, 10);
});

test('a model that is not there costs nothing and is never expected', () => {
  const cost = make();
  cost.ran('gone', WIDTH, HEIGHT, 10, 0);
  assert.equal(cost.expected('gone', WIDTH, HEIGHT), undefined);
});
