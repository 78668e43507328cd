import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Pacer } from '../../../src/publish/webrtc/pacer.ts';

const packets = (count: number) =>
  Array.from({ length: count }, (_, i) => ({ data: Buffer.alloc(1000, i), marker: i === count - 1 }));

test('a picture within the burst leaves at once', () => {
  const sent: number[] = [];
  const pacer = new Pacer((_payload, timestamp) => sent.push(timestamp));
  pacer.push(packets(10), 1);
  assert.equal(sent.length, 10);
});

test('a keyframe larger than the burst is spread out, in order and complete', async () => {
  const sent: number[] = [];
  const all = Promise.withResolvers<void>();
  const pacer = new Pacer(({ data }) => {
    sent.push(data[0]!);
    if (sent.length === 200) all.resolve();
  });
  pacer.push(packets(200), 1);
  assert.ok(sent.length < 200);
  await all.promise;
  assert.deepEqual(
    sent,
    packets(200).map(({ data }) => data[0]),
  );
});

test('a path that is too slow is noticed and its queue can be dropped', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  let now = 0;
  t.mock.method(performance, 'now', () => now);
  let sent = 0;
  const pacer = new Pacer(() => sent++);
  pacer.rate = 100_000;
  pacer.push(packets(200), 1);
  assert.equal(pacer.behind, false);
  now = 1500;
  assert.equal(pacer.behind, true);
  pacer.clear();
  assert.equal(pacer.behind, false);
  const before = sent;
  t.mock.timers.tick(100);
  assert.equal(sent, before, 'nothing of the dropped queue follows');
});
