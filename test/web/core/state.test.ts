import assert from 'node:assert/strict';
import { test } from 'node:test';
import { causeAndTry, causeOf, nextTry, shortCause } from '../../../src/web/core/state.ts';
import { status } from '../mock-gateway.ts';

test('a live stream that is not restored says why', () => {
  const { restoration } = status('yard');
  const reason = 'no usable model is installed';
  assert.equal(causeOf(status('yard')), 'Frames are flowing');
  assert.equal(
    causeOf(status('yard', { restoration: { ...restoration!, model: 'none', reason } })),
    'No usable model is installed',
  );
});

test("the next attempt is told on the gateway's clock", () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const retryAt = '2026-01-01T00:00:09Z';
  const lost = status('yard', { state: 'backoff', cause: 'unreachable', retryAt });
  assert.equal(causeAndTry(lost, now), 'Unreachable. Next try in 9 s.');
  assert.equal(nextTry(lost, now + 9_000), 'Trying now');
  assert.equal(nextTry(status('yard'), now), '');
});

test('beside its name a camera need not be told by its address', () => {
  const source = 'rtsp://***@192.168.1.20/yard';
  const lost = (message: string) =>
    status('yard', { state: 'backoff', error: { code: 'CLEARWAY_SOURCE_ENDED', message, retryable: true } });
  assert.equal(shortCause(lost(`${source} cannot be reached: check it`)), 'Cannot be reached: check it');
  assert.equal(shortCause(lost(`${source}: the source ended`)), 'The source ended');
  assert.equal(shortCause(lost('No route to it')), 'No route to it');
});
