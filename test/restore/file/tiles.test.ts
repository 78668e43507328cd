import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CpuDevice } from '../../../src/restore/device/node-device.ts';
import { TiledRestoration } from '../../../src/restore/file/tiled-restoration.ts';
import { halves, samplesOf, type TilePlan, tilesOf } from '../../../src/restore/file/tiles.ts';
import { RestorerGraph, SmootherGraph } from '../../../src/restore/graph.ts';
import { readModel } from '../../../src/restore/manifest.ts';
import { pictureBytes } from '../../../src/restore/picture.ts';
import { Restoration } from '../../../src/restore/restoration.ts';
import { REAL_MODELS } from '../../support/restoring.ts';

const CPU = new CpuDevice(1);
/** Not a multiple of any alignment. */
const WIDTH = 322;
const HEIGHT = 198;
const STRENGTH = 0.8;
const SMOOTHING = 0.5;

/** A noisy picture whose pattern moves. */
function picture(n: number): ArrayBuffer {
  const out = new Uint8Array(pictureBytes(WIDTH, HEIGHT));
  for (let i = 0; i < out.length; i++) {
    const noise = (Math.imul(i + 1 + n * 7919, 2654435761) >>> 27) - 16;
    out[i] = 128 + 60 * Math.sin((i % WIDTH) / 9 + n / 3) * Math.cos(i / WIDTH / 11) + noise;
  }
  return out.buffer;
}

async function lite() {
  const graph = await RestorerGraph.open(await readModel(REAL_MODELS, 'lite'), CPU);
  const smoother = await SmootherGraph.open(await readModel(REAL_MODELS, 'smoother'), CPU);
  return { graph, smoother };
}

/** Pictures 0 to `count` - 1 as one after another comes out, each cut as `most` says. */
async function restoreTiled(
  { graph, smoother }: Awaited<ReturnType<typeof lite>>,
  most: (n: number) => number,
  count: number,
): Promise<Uint8Array[]> {
  const restoration = new TiledRestoration(graph, smoother, WIDTH, HEIGHT);
  const plan = await restoration.plan();
  const results: Uint8Array[] = [];
  for (let n = 0; n < count; n++) {
    restoration.advance(picture(n), n === 0, []);
    for (const area of tilesOf(plan, most(n))) await restoration.tile(area, plan, STRENGTH, SMOOTHING);
    const out = new Uint8Array(pictureBytes(WIDTH, HEIGHT));
    restoration.collect(out);
    results.push(out);
  }
  return results;
}

function largestDifference(a: Uint8Array, b: Uint8Array): number {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

test('seams cannot be seen: tiles of lite and the smoother make the picture that the whole makes', async () => {
  const models = await lite();
  const whole = await restoreTiled(models, () => Number.POSITIVE_INFINITY, 6);
  const tiled = await restoreTiled(models, () => 20_000, 6);
  const changing = await restoreTiled(models, (n) => [20_000, 1e9, 40_000][n % 3]!, 6);
  for (const [n, expected] of whole.entries()) {
    // Two runs of different sizes add up in different orders: one step where rounding is on the edge.
    assert.ok(largestDifference(expected, tiled[n]!) <= 1, `picture ${n}`);
    assert.ok(largestDifference(expected, changing[n]!) <= 1, `picture ${n}, cut differently each time`);
  }
  assert.ok(largestDifference(whole[5]!, new Uint8Array(picture(5))) > 10, 'something was restored');
});

test('files come out as the live engine restores them', async () => {
  const models = await lite();
  const live = new Restoration();
  const whole = await restoreTiled(models, () => Number.POSITIVE_INFINITY, 4);
  for (const [n, expected] of whole.entries()) {
    const out = new Uint8Array(pictureBytes(WIDTH, HEIGHT));
    const request = {
      width: WIDTH,
      height: HEIGHT,
      strength: STRENGTH,
      smoothing: SMOOTHING,
      restore: true,
      fresh: n === 0,
    };
    await live.next(picture(n), request, models.graph, models.smoother, out, []);
    assert.equal(largestDifference(out, expected), 0, `picture ${n}`);
  }
});

test('lite reaches so far that tiles are worth it', async () => {
  const { graph, smoother } = await lite();
  const { halo, grid } = await new TiledRestoration(graph, smoother, WIDTH, HEIGHT).plan();
  assert.ok(halo > 0 && halo <= 64 && halo % grid === 0, `halo ${halo}`);
});

const PLAN: TilePlan = { width: 7680, height: 4320, grid: 8, halo: 32 };

test('tiles cover the picture once, on the grid, none with more samples than allowed', () => {
  const tiles = tilesOf(PLAN, 2_200_000);
  const seen = tiles.reduce((sum, { width, height }) => sum + width * height, 0);
  assert.equal(seen, PLAN.width * PLAN.height);
  for (const tile of tiles) {
    assert.ok(samplesOf(tile, PLAN) <= 2_200_000);
    for (const value of Object.values(tile)) assert.equal(value % PLAN.grid, 0);
  }
  const corners = new Set(tiles.map(({ x, y }) => `${x},${y}`));
  assert.equal(corners.size, tiles.length);
});

test('a tile is not cut into nothing, nor where every part would see the whole picture', () => {
  const smallest = tilesOf({ ...PLAN, width: 1280, height: 720 }, 0);
  assert.ok(smallest.every(({ width, height }) => width >= 64 && height >= 64));
  const boundless = { ...PLAN, halo: Number.POSITIVE_INFINITY };
  assert.equal(tilesOf(boundless, 1000).length, 1);
  assert.equal(halves({ x: 0, y: 0, width: 7680, height: 4320 }, boundless), undefined);
});
