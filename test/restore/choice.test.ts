import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chooseRestoration } from '../../src/restore/working-height.ts';

const LITE = { fixed: 0.5, perMegapixel: 45 };
const BASE = { fixed: 2, perMegapixel: 400 };

test('the largest height that fits the frame interval is chosen, and the reason says why', () => {
  const at = (fps: number, streams = 1) =>
    chooseRestoration({ speeds: { lite: LITE }, provider: 'cpu', lanes: 1 }, fps, streams);
  assert.equal(at(25).height, 540);
  assert.equal(at(10).height, 720);
  assert.equal(at(50).height, 360);
  assert.equal(at(25, 2).height, 360);
  assert.match(at(25).reason, /lite takes 23\.8 ms a 960x540 frame on cpu; 24 ms are free at 25 fps/);
});

test('streams share the lanes of a GPU, of which the second adds a third: what an H100 was seen to hold is chosen', () => {
  // test/bench/RESULTS-GPU.md: 4.6 and 3.5 ms at 1080p; eight cameras with base, about twelve with lite, not sixteen.
  const speeds = { base: { fixed: 2.3, perMegapixel: 1.1 }, lite: { fixed: 1.5, perMegapixel: 0.96 } };
  const at = (streams: number) => {
    const { model, height } = chooseRestoration({ speeds, provider: 'cuda', lanes: 2 }, 25, streams);
    return `${model} ${height}`;
  };
  assert.equal(at(1), 'base 1080');
  assert.equal(at(8), 'base 1080');
  assert.equal(at(11), 'lite 1080');
  assert.equal(at(16), 'lite 720');
});

test('a host too slow for the smallest height says so', () => {
  const choice = chooseRestoration({ speeds: { base: BASE }, provider: 'cpu', lanes: 1 }, 25, 1);
  assert.deepEqual([choice.model, choice.height], ['base', 360]);
  assert.match(choice.reason, /some frames will pass through/);
});

test('what holds only when every camera has a picture is said so: some of those counted may be away', () => {
  const at = (fps: number, streams: number) =>
    chooseRestoration({ speeds: { lite: LITE }, provider: 'cpu', lanes: 1 }, fps, streams).reason;
  assert.match(at(25, 2), /; 12 ms are free at 25 fps with 2 streams, when all have a picture$/);
  assert.match(
    at(25, 7),
    /more than the 3 ms free at 25 fps with 7 streams, when all have a picture: some frames pass through then$/,
  );
});

test('among the models that hold a height the heaviest is taken', () => {
  const fast = { fixed: 0.2, perMegapixel: 2 };
  assert.equal(
    chooseRestoration(
      { speeds: { lite: { fixed: 0.1, perMegapixel: 1 }, base: fast }, provider: 'cuda', lanes: 1 },
      25,
      1,
    ).model,
    'base',
  );
});

test('a height that is fixed is what the model is chosen for', () => {
  const at = (height?: number) =>
    chooseRestoration({ speeds: { lite: LITE, base: BASE }, provider: 'cpu', lanes: 1 }, 5, 1, height);
  assert.deepEqual([at(240).model, at(240).height], ['base', 240]);
  assert.deepEqual([at(1080).model, at(1080).height], ['lite', 1080]);
  assert.match(at(1080).reason, /lite takes 93\.8 ms a 1920x1080 frame on cpu; 120 ms are free/);
  const tooMuch = at(2160);
  assert.deepEqual([tooMuch.model, tooMuch.height], ['lite', 2160]);
  assert.match(tooMuch.reason, /some frames will pass through/);
});

test('with no model at all frames pass through', () => {
  assert.equal(chooseRestoration({ speeds: {}, provider: 'cpu', lanes: 1 }, 25, 1).model, 'none');
});
