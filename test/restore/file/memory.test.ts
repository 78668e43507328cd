import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { PictureRestorer } from '../../../src/restore/file/picture-restorer.ts';
import { Inference } from '../../../src/restore/inference.ts';
import { pictureBytes } from '../../../src/restore/picture.ts';
import { temporaryDirectory } from '../../support/ffmpeg.ts';
import { NUMBERED, readNumbers, renderNumbered } from '../../support/numbered.ts';
import { FIXTURE_MODELS, startRestoring } from '../../support/restoring.ts';

const WIDTH = 1280;
const HEIGHT = 720;

test('out of memory halves the tile and goes on, and later pictures begin with tiles that fit', async () => {
  const inference = new Inference({ models: FIXTURE_MODELS, provider: 'cpu', threads: 1 }, (error) => {
    throw error;
  });
  await inference.ready;
  let tiles = 0;
  const step = inference.step.bind(inference);
  inference.step = (order, transfer) => {
    if (order.t === 'file-tile') tiles++;
    return step(order, transfer);
  };
  try {
    using restorer = new PictureRestorer(
      inference,
      'hungry',
      0,
      { strength: 1, smoothing: 0 },
      { width: WIDTH, height: HEIGHT },
      () => 1e9,
    );
    const tries: number[] = [];
    for (let n = 0; n < 3; n++) {
      tiles = 0;
      const picture = new Uint8Array(pictureBytes(WIDTH, HEIGHT)).fill(100);
      const finished: Uint8Array[] = [];
      for await (const { picture: out } of restorer.next(picture.buffer, n))
        finished.push(new Uint8Array(out));
      assert.equal(finished.length, 1);
      assert.ok(
        finished[0]!.every((sample) => sample === 110),
        'every sample was restored, once',
      );
      tries.push(tiles);
    }
    // The model runs out of memory over 640x384: the whole, two halves, four quarters; then the quarters at once.
    assert.deepEqual(tries, [7, 4, 4]);
  } finally {
    await inference.close();
  }
});

test('a file whose pictures do not fit is restored in tiles, none of it missing', async () => {
  await using restoring = await startRestoring();
  await using directory = await temporaryDirectory();
  const input = await renderNumbered(join(directory.path, 'in.mp4'), {
    seconds: 1,
    filter: `scale=${NUMBERED.width * 5}:${NUMBERED.height * 10}:flags=neighbor`,
  });
  const output = join(directory.path, 'out.mp4');
  const { frames } = await restoring.restore(input, output, { model: 'hungry' });
  assert.equal(frames, 25);
  const numbers = await readNumbers(output, { width: NUMBERED.width * 5, height: NUMBERED.height * 10 });
  assert.deepEqual(
    numbers.map(({ number }) => number),
    Array.from({ length: 25 }, (_, n) => n),
  );
});
