import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessUnit, AudioPacket } from '../../src/contracts/media.ts';
import { createH264Source } from './h264-source.ts';

test('the test source emits decodable units on the real clock and jumps to a keyframe on request', async () => {
  const source = await createH264Source({ name: 'cam' });
  const units: AccessUnit[] = [];
  const audio: AudioPacket[] = [];
  const done = Promise.withResolvers<void>();
  const subscription = source.subscribe({
    rendition: 'restored',
    audio: 'opus',
    sink: {
      video: (unit) => {
        units.push(unit);
        if (units.length === 5) subscription.requestKeyframe();
        if (units.length === 10) done.resolve();
      },
      audio: (packet) => audio.push(packet),
    },
  });
  await done.promise;
  subscription.close();

  assert.equal(source.subscribers(), 0);
  assert.ok(units.every((unit, i) => i === 0 || unit.pts - units[i - 1]!.pts === 3600));
  assert.ok(Math.abs(units[0]!.pts / 90 - units[0]!.arrival) < 2000, 'pts is Unix time in 90 kHz ticks');
  const key = units[5]!;
  assert.ok(key.key, 'the unit after the request is a keyframe');
  assert.deepEqual([...key.data.subarray(0, 4)], [0, 0, 0, 1]);
  assert.equal(key.data[4]! & 0x1f, 7, 'SPS first');
  assert.ok(audio.every((packet, i) => i === 0 || packet.pts - audio[i - 1]!.pts === 1800));
  assert.ok(audio.length >= 15);
});
