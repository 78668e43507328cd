import assert from 'node:assert/strict';
import { test } from 'node:test';
import { strips } from '../../../src/web/camera/compare.ts';

test('left of the divider comes from the left half, right of it from the same place in the right half', () => {
  assert.deepEqual(strips('compare', 1280, 0.25), [
    { from: 0, to: 0, width: 160 },
    { from: 640 + 160, to: 160, width: 480 },
  ]);
});

test('at either end one half is everything', () => {
  assert.deepEqual(strips('compare', 1280, 0), [{ from: 640, to: 0, width: 640 }]);
  assert.deepEqual(strips('compare', 1280, 1), [{ from: 0, to: 0, width: 640 }]);
});

test('other renditions are drawn whole', () => {
  assert.deepEqual(strips('restored', 640, 0.3), [{ from: 0, to: 0, width: 640 }]);
});
