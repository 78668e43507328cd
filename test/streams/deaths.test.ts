import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Deaths } from '../../src/streams/deaths.ts';

test('a provider that dies while it is opened is left out at once, for ten minutes', () => {
  const deaths = new Deaths();
  assert.equal(deaths.note('cuda', true, 1000), true);
  assert.deepEqual(deaths.avoid(2000), ['cuda']);
  assert.deepEqual(deaths.avoid(602_000), []);
});

test('a running one is forgiven twice a minute', () => {
  const deaths = new Deaths();
  assert.equal(deaths.note('webgpu', false, 0), false);
  assert.equal(deaths.note('webgpu', false, 50_000), false);
  assert.equal(deaths.note('webgpu', false, 70_000), false, 'the first is longer ago than a minute');
  assert.deepEqual(deaths.avoid(70_000), []);
  assert.equal(deaths.note('webgpu', false, 75_000), true);
  assert.deepEqual(deaths.avoid(76_000), ['webgpu']);
});

test('the CPU is never to blame', () => {
  const deaths = new Deaths();
  for (let at = 0; at < 5; at++) assert.equal(deaths.note('cpu', true, at), false);
  assert.deepEqual(deaths.avoid(10), []);
});
