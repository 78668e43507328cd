import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnit, Rendition } from '../../src/contracts/media.ts';
import { retryDelay } from '../../src/streams/retry.ts';
import { Subscribers } from '../../src/streams/subscribers.ts';

function unit(rendition: Rendition, pts: number): AccessUnit {
  return {
    rendition,
    pts,
    data: new Uint8Array(1),
    key: true,
    width: 2,
    height: 2,
    arrival: 0,
    encoded: 0,
    outcome: 'restored',
  };
}

function make() {
  const log: string[] = [];
  const subscribers = new Subscribers({
    changed: () => log.push('changed'),
    keyframe: (rendition) => log.push(`key ${rendition}`),
    bitrate: (rendition, bps) => log.push(`bitrate ${rendition} ${bps}`),
  });
  return { subscribers, log };
}

test('units go to those who asked for their rendition, and never back in time', () => {
  const { subscribers, log } = make();
  const got: string[] = [];
  for (const rendition of ['restored', 'compare'] as const) {
    subscribers.add({ rendition, sink: { video: ({ pts }) => got.push(`${rendition} ${pts}`) } });
  }
  for (const pts of [10, 20, 15, 30]) subscribers.video(unit('restored', pts));
  subscribers.video(unit('compare', 12));
  assert.deepEqual(got, ['restored 10', 'restored 20', 'restored 30', 'compare 12']);
  assert.deepEqual(
    log,
    ['changed', 'changed', 'key restored'],
    'what refers to the dropped unit is replaced',
  );
});

test('demand is what all subscribers want together', () => {
  const { subscribers, log } = make();
  const a = subscribers.add({ rendition: 'restored', sink: { video() {} }, audio: 'opus' });
  const b = subscribers.add({ rendition: 'compare', sink: { video() {} }, audio: 'aac' });
  assert.deepEqual(subscribers.demand, {
    ...{ renditions: ['restored', 'compare'], opus: true, aac: true },
    watched: true,
  });
  a.close();
  a.close();
  assert.deepEqual(subscribers.demand, {
    ...{ renditions: ['compare'], opus: false, aac: true },
    watched: true,
  });
  b.close();
  assert.equal(subscribers.count, 0);
  assert.equal(log.filter((line) => line === 'changed').length, 4);
});

test('who looks at the source, or takes a still, watches no restoration', () => {
  const { subscribers } = make();
  subscribers.add({ rendition: 'source', sink: { video() {} } });
  subscribers.add({ rendition: 'restored', still: true, sink: { video() {} } });
  assert.equal(subscribers.demand.watched, false);
  subscribers.add({ rendition: 'compare', sink: { video() {} } });
  assert.equal(subscribers.demand.watched, true);
});

test('the slowest receiver sets the bitrate, until it leaves', () => {
  const { subscribers, log } = make();
  const [a, b] = [1, 2].map(() => subscribers.add({ rendition: 'restored', sink: { video() {} } }));
  a!.setBitrate(3_000_000);
  b!.setBitrate(800_000);
  b!.setBitrate(800_000);
  b!.close();
  b!.setBitrate(100_000);
  a!.setBitrate(undefined);
  assert.deepEqual(
    log.filter((line) => line.startsWith('bitrate')),
    [
      'bitrate restored 3000000',
      'bitrate restored 800000',
      'bitrate restored 3000000',
      'bitrate restored undefined',
    ],
  );
});

test('keyframe requests in a burst are one now and one later', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const { subscribers, log } = make();
  const viewer = subscribers.add({ rendition: 'restored', sink: { video() {} } });
  for (let i = 0; i < 50; i++) viewer.requestKeyframe();
  assert.equal(log.filter((line) => line === 'key restored').length, 1);
  t.mock.timers.tick(300);
  assert.equal(log.filter((line) => line === 'key restored').length, 2);
  t.mock.timers.tick(3000);
  assert.equal(log.filter((line) => line === 'key restored').length, 2);
  subscribers.close();
});

test('retries are quick at first, patient later, and jittered', () => {
  const middle = () => 0.5;
  const waits = Array.from({ length: 25 }, (_, i) => retryDelay(i + 1, middle));
  assert.deepEqual(waits, [
    ...Array(5).fill(1000),
    ...Array(5).fill(5000),
    ...Array(10).fill(10_000),
    ...Array(5).fill(60_000),
  ]);
  assert.deepEqual([retryDelay(1, () => 0), retryDelay(1, () => 1)], [800, 1200]);
});
