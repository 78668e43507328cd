import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { duration } from '../../src/config/duration.ts';

describe('duration', () => {
  for (const [given, ms] of [
    ['250ms', 250],
    ['10s', 10_000],
    ['1.5s', 1500],
    ['5m', 300_000],
    ['2h', 7_200_000],
    ['0s', 0],
    [40, 40],
  ] as const) {
    it(`${given} is ${ms} ms`, () => assert.equal(duration.parse(given), ms));
  }
  for (const wrong of [
    '10',
    '10 s',
    '-1s',
    '1e3s',
    '1.s',
    's',
    '',
    -1,
    Number.NaN,
    Infinity,
    null,
    '5d',
    '1s1s',
  ]) {
    it(`refuses ${JSON.stringify(wrong)}`, () => assert.equal(duration.safeParse(wrong).success, false));
  }
});
