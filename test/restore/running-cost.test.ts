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
  cost.ran('lite', WIDTH, HEIGHT, 10);
  assert.equal(expected(cost), 10);
});

test('runs that take longer raise the estimate, a single slow one hardly', () => {
  const cost = make();
  cost.ran('lite', WIDTH, HEIGHT, 5000);
  assert.ok(expected(cost) < 140, `${expected(cost)}`);
  for (let i = 0; i < 60; i++) cost.ran('lite', WIDTH, HEIGHT, 300);
  assert.ok(Math.abs(expected(cost) - 300) < 5, `${expected(cost)}`);
});

test('a refused model is tried now and then, and the trials of a slow one leave the accelerator free', () => {
  const cost = make();
  let trials = 0;
  for (let now = 0; now < 20_000; now += 4) if (cost.trial('lite', WIDTH, HEIGHT, now)) trials++;
  assert.equal(trials, 10);
});

test('a model that is not there costs nothing and is never expected', () => {
  const cost = make();
  cost.ran('gone', WIDTH, HEIGHT, 10);
  assert.equal(cost.expected('gone', WIDTH, HEIGHT), undefined);
});
