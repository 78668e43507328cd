import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pictureBytes } from '../../src/restore/picture.ts';
import { type FinishedFrame, Renditions } from '../../src/restore/renditions.ts';

const [WIDTH, HEIGHT] = [320, 180];

function frame(number: number, changes: Partial<FinishedFrame> = {}): FinishedFrame {
  const picture = new Uint8Array(pictureBytes(WIDTH, HEIGHT)).fill(60 + number);
  return {
    restored: picture,
    source: picture,
    width: WIDTH,
    height: HEIGHT,
    pts: 1_000_000 + number * 3600,
    arrival: 0,
    outcome: 'restored',
    ...changes,
  };
}

test('a rendition that cannot be encoded takes no other with it, and comes back with a keyframe', async () => {
  const renditions = new Renditions({ threads: 1 });
  renditions.want(['source', 'restored'], 1_000_000);
  const first = await renditions.encode(frame(0), 25);
  assert.deepEqual([first.units.length, first.failures.length], [2, 0]);
  const damaged = await renditions.encode(frame(1, { source: new Uint8Array(10) }), 25);
  assert.deepEqual(
    damaged.units.map(({ rendition }) => rendition),
    ['restored'],
  );
  assert.equal(damaged.failures.length, 1);
  const after = await renditions.encode(frame(2), 25);
  assert.deepEqual(
    after.units.map(({ rendition, key }) => ({ rendition, key })),
    [
      { rendition: 'source', key: true },
      { rendition: 'restored', key: false },
    ],
  );
  renditions.close();
});
