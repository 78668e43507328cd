import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RestorerEvent } from '../../src/contracts/restorer.ts';
import { Outbox } from '../../src/restore/outbox.ts';

const MEBIBYTE = new Uint8Array(1 << 20);

function unit(pts: number, key: boolean): RestorerEvent {
  return {
    t: 'unit',
    stream: 'cam',
    session: 1,
    unit: {
      rendition: 'restored',
      data: MEBIBYTE,
      pts,
      key,
      width: 2,
      height: 2,
      arrival: 0,
      encoded: 0,
      outcome: 'restored',
    },
  };
}

test('a gateway that does not read fills no memory, and pictures go on with a keyframe', () => {
  const written: (() => void)[] = [];
  const sent: RestorerEvent[] = [];
  const asked: string[] = [];
  const outbox = new Outbox(
    (event, done) => {
      sent.push(event);
      written.push(done);
    },
    (stream, rendition) => asked.push(`${stream}/${rendition}`),
  );
  for (let pts = 0; pts < 100; pts++) outbox.send(unit(pts, pts % 10 === 0));
  assert.equal(sent.length, 33);
  // Events are no media: they always arrive.
  outbox.send({ t: 'alive' });
  assert.equal(sent.at(-1)!.t, 'alive');
  assert.deepEqual(asked, []);
  for (const done of written.splice(0)) done();
  for (const [pts, key] of [
    [100, false],
    [101, false],
    [102, true],
    [103, false],
  ] as const) {
    outbox.send(unit(pts, key));
  }
  assert.deepEqual(asked, ['cam/restored']);
  const after = sent.slice(34).flatMap((event) => (event.t === 'unit' ? [event.unit.pts] : []));
  assert.deepEqual(after, [102, 103]);
});
