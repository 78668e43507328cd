import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ORT_LIBRARY } from '../../../src/restore/device/cuda-libraries.ts';
import { NativeDevice } from '../../../src/restore/device/native-device.ts';
import { CpuDevice } from '../../../src/restore/device/node-device.ts';
import { OrtApi } from '../../../src/restore/device/ort-api.ts';
import { RestorerGraph, SmootherGraph } from '../../../src/restore/graph.ts';
import { readModel } from '../../../src/restore/manifest.ts';
import { pictureBytes } from '../../../src/restore/picture.ts';
import { Restoration } from '../../../src/restore/restoration.ts';
import { HostRuntime } from '../../support/host-runtime.ts';

const MODELS = join(import.meta.dirname, '../../../models');

function nativeDevice(runtime: HostRuntime): NativeDevice {
  const api = new OrtApi(ORT_LIBRARY);
  return new NativeDevice({ provider: 'cuda', half: false, runtime, api, append: () => {} });
}

/** Noise that moves a little from frame to frame. */
function frame(width: number, height: number, at: number): ArrayBuffer {
  return Uint8Array.from(
    { length: pictureBytes(width, height) },
    (_, i) => 64 + (Math.imul(i + at * 3, 2654435761) >>> 27) + ((i >> 5) & 31),
  ).buffer;
}

test('through the C API, with window, state and smoothed picture on the device, every frame is the same bits', async () => {
  const runtime = new HostRuntime();
  const [native, cpu] = [nativeDevice(runtime), new CpuDevice(1)];
  const [lite, smoother] = [await readModel(MODELS, 'lite'), await readModel(MODELS, 'smoother')];
  const graphs = [];
  for (const device of [native, cpu]) {
    const restorer = await RestorerGraph.open(lite, device);
    graphs.push({
      restorer,
      smoother: await SmootherGraph.open(smoother, device),
      stream: new Restoration(),
    });
  }
  const held: number[] = [];
  // Two sizes in turn, one of them padded: as two streams would, but each change starts afresh.
  for (const [width, height] of [
    [160, 96],
    [150, 98],
    [160, 96],
  ] as const) {
    for (let at = 0; at < 6; at++) {
      const outs: Uint8Array[] = [];
      for (const { restorer, smoother: smooth, stream } of graphs) {
        const out = new Uint8Array(pictureBytes(width, height));
        const request = { width, height, strength: 0.8, smoothing: 0.5, restore: at !== 3, fresh: false };
        await stream.next(frame(width, height, at), request, restorer, smooth, out, []);
        outs.push(out);
      }
      assert.deepEqual(outs[0], outs[1], `${width}x${height} frame ${at}`);
    }
    held.push(runtime.held);
  }
  assert.equal(held[2], held[1], 'a size seen before takes no more memory');
  for (const { restorer, smoother: smooth, stream } of graphs) {
    stream.clear([]);
    await restorer.release();
    await smooth.release();
  }
  await native.release();
  assert.equal(runtime.held, 0);
});

test('what the provider says is the error, and a device that has failed can go on', async () => {
  const runtime = new HostRuntime();
  const native = nativeDevice(runtime);
  const model = await readModel(MODELS, 'lite');
  await assert.rejects(native.open(new TextEncoder().encode('not a graph')), /protobuf|parse|model/i);
  const restorer = await RestorerGraph.open(model, native);
  const [width, height] = [64, 64];
  const window = [0, 1].map((at) => new Uint8Array(frame(width, height, at)));
  const out = new Uint8Array(pictureBytes(width, height));
  const wrong = restorer.freshState(96, 64);
  await assert.rejects(restorer.run(window, width, height, 1, wrong, out), /shape|dimension|Concat|axis/i);
  await restorer.run(window, width, height, 1, restorer.freshState(width, height), out);
  assert.ok(out.some((value) => value > 0));
  await restorer.release();
  await native.release();
  assert.equal(runtime.held, 0);
});

test('a size for which the device has no memory is refused, takes nothing, and works once there is', async () => {
  const runtime = new HostRuntime();
  const native = nativeDevice(runtime);
  const restorer = await RestorerGraph.open(await readModel(MODELS, 'lite'), native);
  const restore = async (width: number, height: number) => {
    const window = [0, 1].map((at) => new Uint8Array(frame(width, height, at)));
    const out = new Uint8Array(pictureBytes(width, height));
    await restorer.run(window, width, height, 1, restorer.freshState(width, height), out);
  };
  await restore(64, 64);
  const before = runtime.held;
  runtime.limit = before + 3_000_000;
  await assert.rejects(restore(640, 384), /out of memory/);
  await restore(64, 64);
  runtime.limit = Number.POSITIVE_INFINITY;
  await restore(640, 384);
  await restorer.release();
  await native.release();
  assert.equal(runtime.held, 0);
});
