import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { ORT_LIBRARY } from '../../../src/restore/device/cuda-libraries.ts';
import { NativeDevice } from '../../../src/restore/device/native-device.ts';
import { CpuDevice } from '../../../src/restore/device/node-device.ts';
import { OrtApi } from '../../../src/restore/device/ort-api.ts';
import { RestorerGraph } from '../../../src/restore/graph.ts';
import { readModel } from '../../../src/restore/manifest.ts';
import { pictureBytes } from '../../../src/restore/picture.ts';
import { HostRuntime } from '../../support/host-runtime.ts';
import { noise, SameStreams, SIZES_IN_TURN } from '../../support/same-streams.ts';

const MODELS = join(import.meta.dirname, '../../../models');

function nativeDevice(runtime: HostRuntime): NativeDevice {
  const api = new OrtApi(ORT_LIBRARY);
  return new NativeDevice({ provider: 'cuda', half: false, runtime, api, append: () => {} });
}

test('through the C API, with window, state and smoothed picture on the device, every frame is the same bits', async () => {
  const runtime = new HostRuntime();
  const [native, cpu] = [nativeDevice(runtime), new CpuDevice(1)];
  const [lite, smoother] = [await readModel(MODELS, 'lite'), await readModel(MODELS, 'smoother')];
  const streams = await SameStreams.open([native, cpu], lite, smoother);
  const held: number[] = [];
  for (const [width, height] of SIZES_IN_TURN) {
    await streams.next(width, height);
    held.push(runtime.held);
  }
  assert.equal(held[2], held[1], 'a size seen before takes no more memory');
  await streams.release();
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
  const window = [0, 1].map((at) => noise(width, height, at));
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
    const window = [0, 1].map((at) => noise(width, height, at));
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
