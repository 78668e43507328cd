import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Sessions } from '../../../src/publish/hls/sessions.ts';

test('a viewer who asks no more is gone, whatever happens to the host’s clock', {
  timeout: 20_000,
}, async (t) => {
  const counts: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const sessions = new Sessions((_stream, viewers) => {
    counts.push(viewers);
    if (viewers === 0) resolve();
  });
  t.after(() => sessions.close());
  // The interval that looks is let go of by the process; this test is not.
  const alive = setInterval(() => {}, 1000);
  t.after(() => clearInterval(alive));
  const real = Date.now;
  t.mock.method(Date, 'now', () => real() + 3_600_000);
  sessions.seen('gate', 'a', 10);
  t.mock.method(Date, 'now', real);
  await promise;
  assert.deepEqual(counts, [1, 0]);
});
