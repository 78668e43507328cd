import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeOf } from '../../../src/web/core/state.ts';
import { status } from '../mock-gateway.ts';

test('a live stream that is not restored says why', () => {
  const { restoration } = status('yard');
  const reason = 'no usable model is installed';
  assert.equal(causeOf(status('yard'), 0), 'Frames are flowing');
  assert.equal(
    causeOf(status('yard', { restoration: { ...restoration!, model: 'none', reason } }), 0),
    'No usable model is installed',
  );
});

test("the next attempt is told on the gateway's clock", () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const retryAt = '2026-01-01T00:00:09Z';
  assert.equal(
    causeOf(status('yard', { state: 'backoff', cause: 'unreachable', retryAt }), now),
    'Unreachable. Next try in 9 s.',
  );
});
