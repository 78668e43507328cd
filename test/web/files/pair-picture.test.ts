import assert from 'node:assert/strict';
import { test } from 'node:test';
import { columns, panned, WHOLE, zoomed } from '../../../src/web/files/pair-picture.ts';

test('every column of the canvas shows one side, the original left of the divider', () => {
  for (const position of [0, 0.001, 0.25, 0.5, 0.999, 1]) {
    const parts = columns('compare', 641, position);
    assert.equal(
      parts.reduce((sum, { width }) => sum + width, 0),
      641,
    );
    let next = 0;
    for (const { from, width } of parts) {
      assert.equal(from, next);
      next += width;
    }
  }
  assert.deepEqual(columns('compare', 640, 0.25), [
    { side: 'source', from: 0, width: 160 },
    { side: 'restored', from: 160, width: 480 },
  ]);
  assert.deepEqual(columns('source', 640, 0.25), [{ side: 'source', from: 0, width: 640 }]);
});

test('what is under the pointer stays there while the picture is enlarged', () => {
  const at = { x: 0.75, y: 0.4 };
  const place = ({ scale, x, y }: typeof WHOLE) => [x + at.x / scale, y + at.y / scale];
  let zoom = WHOLE;
  for (const scale of [2, 4, 8, 4]) {
    const before = place(zoom);
    zoom = zoomed(zoom, scale, at);
    assert.deepEqual(
      place(zoom).map((value) => value.toFixed(9)),
      before.map((value) => value.toFixed(9)),
    );
  }
  assert.deepEqual(zoomed(zoom, 1, at), WHOLE);
});

test('nothing beyond the edges is shown', () => {
  const zoom = panned(zoomed(WHOLE, 4, { x: 0.5, y: 0.5 }), { x: 100, y: -100 });
  assert.deepEqual(zoom, { scale: 4, x: 0.75, y: 0 });
  // Reduced at the edge, it stays within.
  assert.deepEqual(zoomed(zoom, 2, { x: 0, y: 1 }), { scale: 2, x: 0.5, y: 0 });
});
