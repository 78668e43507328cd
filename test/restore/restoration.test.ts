import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { CpuDevice } from '../../src/restore/device/node-device.ts';
import { RestorerGraph, SmootherGraph } from '../../src/restore/graph.ts';
import { readModel } from '../../src/restore/manifest.ts';
import { pictureBytes } from '../../src/restore/picture.ts';
import { type FrameRequest, type FrameTimings, Restoration } from '../../src/restore/restoration.ts';

const MODELS = join(import.meta.dirname, '../fixtures/models');
const CPU = new CpuDevice(1);

const graphs = new Map<string, RestorerGraph>();
async function restorer(name: string): Promise<RestorerGraph> {
  const graph = graphs.get(name) ?? (await RestorerGraph.open(await readModel(MODELS, name), CPU));
  graphs.set(name, graph);
  return graph;
}
const smoother = await SmootherGraph.open(await readModel(MODELS, 'smoother'), CPU);
after(async () => {
  for (const graph of graphs.values()) await graph.release();
  await smoother.release();
});

/** A flat picture: small steps between frames are motion, large ones a cut. */
function flat(value: number, width = 64, height = 48): ArrayBuffer {
  return new Uint8Array(pictureBytes(width, height)).fill(value).buffer;
}

class Feed {
  restoration = new Restoration();
  readonly recycled: ArrayBuffer[] = [];
  graph: RestorerGraph | undefined;
  private readonly smoother: SmootherGraph | undefined;

  constructor(graph: RestorerGraph | undefined, smoothing?: SmootherGraph) {
    this.graph = graph;
    this.smoother = smoothing;
  }

  async next(
    picture: ArrayBuffer,
    changes: Partial<FrameRequest> = {},
  ): Promise<{ timings: FrameTimings | undefined; out: Uint8Array }> {
    const request = {
      width: 64,
      height: 48,
      strength: 1,
      smoothing: 0,
      restore: true,
      fresh: false,
      ...changes,
    };
    const out = new Uint8Array(pictureBytes(request.width, request.height));
    const timings = await this.restoration.next(
      picture,
      request,
      this.graph,
      this.smoother,
      out,
      this.recycled,
    );
    return { timings, out };
  }

  async luma(value: number, changes: Partial<FrameRequest> = {}): Promise<number | undefined> {
    const { timings, out } = await this.next(flat(value), changes);
    return timings && out[0];
  }
}

test('the window holds past frames, oldest first, and a young scene repeats its first frame', async () => {
  const feed = new Feed(await restorer('blend'));
  // restored = frame_2 + (frame_0 + frame_1) / 4 - frame_2 / 2
  assert.equal(await feed.luma(100), 100);
  assert.equal(await feed.luma(104), 102);
  assert.equal(await feed.luma(108), 105);
  assert.equal(await feed.luma(112), 109);
});

test('buffers come back once no window needs them', async () => {
  const feed = new Feed(await restorer('blend'));
  const pictures = [100, 101, 102, 103].map((value) => flat(value));
  for (const picture of pictures) await feed.next(picture);
  assert.deepEqual(feed.recycled, [pictures[0]]);
  feed.restoration.clear(feed.recycled);
  assert.deepEqual(feed.recycled, pictures);
});

test('a scene cut leaves no residue of the old scene in the window, the state or the smoothing', async () => {
  const blend = new Feed(await restorer('blend'), smoother);
  for (const value of [40, 41, 42]) await blend.luma(value, { smoothing: 0.5 });
  const cold = new Feed(await restorer('blend'), smoother);
  assert.equal(await blend.luma(200, { smoothing: 0.5 }), await cold.luma(200, { smoothing: 0.5 }));
  assert.equal(await blend.luma(202, { smoothing: 0.5 }), await cold.luma(202, { smoothing: 0.5 }));

  const count = new Feed(await restorer('count'));
  assert.deepEqual([await count.luma(40), await count.luma(40), await count.luma(40)], [40, 41, 42]);
  assert.equal(await count.luma(200), 200);
  assert.equal(await count.luma(200), 201);
});

test('a broken timeline restarts like a cut, without one in the picture', async () => {
  const feed = new Feed(await restorer('count'));
  assert.equal(await feed.luma(40), 40);
  assert.equal(await feed.luma(40), 41);
  assert.equal(await feed.luma(40, { fresh: true }), 40);
});

test('sensor noise and motion are no scene cut', async () => {
  const feed = new Feed(await restorer('count'));
  let seed = 7;
  for (let i = 0; i < 8; i++) {
    const noisy = new Uint8Array(flat(90, 320, 192));
    for (let at = 0; at < 320 * 192; at++) {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      noisy[at] = 90 + (at % 320 > 8 * i ? 40 : 0) + ((seed >> 16) % 81) - 40;
    }
    const { timings } = await feed.next(noisy.buffer, { width: 320, height: 192 });
    assert.equal(timings?.cut, i === 0, `frame ${i}`);
  }
});

test('lookahead delays by one frame, and a cut drops the frame that waited', async () => {
  const feed = new Feed(await restorer('ahead'));
  assert.equal(await feed.luma(100), undefined);
  assert.equal(feed.restoration.pending, 1);
  // restored = frame + half the step to the next
  assert.equal(await feed.luma(104), 102);
  assert.equal(await feed.luma(110), 107);
  assert.equal(await feed.luma(220), undefined);
  assert.equal(feed.restoration.pending, 1);
  assert.equal(await feed.luma(222), 221);
});

test('a change to a model with lookahead shows no picture twice, and back again loses at most the one that waits', async () => {
  const feed = new Feed(await restorer('blend'));
  await feed.luma(100);
  assert.equal(await feed.luma(104), 102);
  feed.graph = await restorer('ahead');
  assert.equal(await feed.luma(108), undefined);
  assert.equal(feed.restoration.pending, 1);
  assert.equal(await feed.luma(112), 110);
  feed.graph = await restorer('brighten');
  assert.equal(await feed.luma(116), 126);
  assert.equal(feed.restoration.pending, 0);
});

test('a frame not restored goes out bit for bit, and the next one still knows it', async () => {
  const feed = new Feed(await restorer('blend'));
  await feed.luma(100);
  assert.equal(await feed.luma(104, { restore: false }), 104);
  assert.equal(await feed.luma(108), 105);
});

test('strength 0 returns the input bit for bit', async () => {
  const feed = new Feed(await restorer('brighten'), smoother);
  const picture = new Uint8Array(pictureBytes(64, 48)).map((_, i) => (i * 7) & 255);
  const { out } = await feed.next(picture.slice().buffer, { strength: 0, smoothing: 1 });
  assert.deepEqual(out, picture);
});

test('smoothing blends with the previous picture, by its strength', async () => {
  const feed = new Feed(await restorer('brighten'), smoother);
  assert.equal(await feed.luma(100, { smoothing: 0.5 }), 110);
  assert.equal(await feed.luma(104, { smoothing: 0.5 }), 112);
  assert.equal(await feed.luma(108, { smoothing: 0 }), 118);
});

test('sizes that are no multiple of the alignment are padded and cropped again', async () => {
  const feed = new Feed(await restorer('brighten'));
  const picture = new Uint8Array(pictureBytes(50, 34)).map((_, i) => 20 + ((i * 13) % 200));
  const { out } = await feed.next(picture.slice().buffer, { width: 50, height: 34 });
  assert.deepEqual(
    out,
    picture.map((value) => value + 10),
  );
});

test('a picture is padded to what restorer and smoother both take', async (t) => {
  const files = await readModel(MODELS, 'brighten');
  const graph = await RestorerGraph.open({ ...files, manifest: { ...files.manifest, alignment: 12 } }, CPU);
  t.after(() => graph.release());
  const { mock } = t.mock.method(smoother, 'smooth');
  const feed = new Feed(graph, smoother);
  const { out } = await feed.next(flat(100, 64, 60), { smoothing: 0.5, width: 64, height: 60 });
  assert.equal(out[0], 110);
  // The smoother's alignment is 8.
  assert.deepEqual(mock.calls[0]!.arguments[0].dims, [1, 1, 72 * 1.5, 72]);
});

test('a picture of another size starts afresh', async () => {
  const feed = new Feed(await restorer('count'));
  await feed.luma(40);
  assert.equal(await feed.luma(40), 41);
  const { out } = await feed.next(flat(40, 96, 64), { width: 96, height: 64 });
  assert.equal(out[0], 40);
});

test('windows that are packed go on elsewhere as if nothing had happened', async () => {
  for (const [model, smoothing] of [
    ['blend', 0.5],
    ['count', 0],
    ['ahead', 0.5],
  ] as const) {
    const [moved, stayed] = [
      new Feed(await restorer(model), smoother),
      new Feed(await restorer(model), smoother),
    ];
    for (const [at, value] of [60, 64, 61, 66, 63].entries()) {
      const both = await Promise.all(
        [moved, stayed].map((feed) => feed.next(flat(value, 60, 44), { width: 60, height: 44, smoothing })),
      );
      assert.deepEqual(both[0]!.out, both[1]!.out, `${model}, picture ${at}`);
      assert.equal(moved.restoration.pending, stayed.restoration.pending);
      const packed = structuredClone(await moved.restoration.pack());
      moved.restoration = await Restoration.unpack(packed, moved.graph);
    }
  }
});

test('packed windows that a graph cannot go on with begin anew', async () => {
  const feed = new Feed(await restorer('count'));
  assert.deepEqual([await feed.luma(40), await feed.luma(40)], [40, 41]);
  const packed = await feed.restoration.pack();
  for (const tensor of Object.values(packed.state)) tensor.type = 'float16';
  feed.restoration = await Restoration.unpack(packed, feed.graph);
  assert.deepEqual([await feed.luma(40), await feed.luma(40)], [40, 41]);
  feed.restoration = await Restoration.unpack(await feed.restoration.pack(), undefined);
  assert.deepEqual([await feed.luma(40), await feed.luma(40)], [40, 41]);
});
