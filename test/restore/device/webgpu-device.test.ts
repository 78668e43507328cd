import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Device, type Dims, type ElementType, elements } from '../../../src/restore/device/device.ts';
import { CpuDevice } from '../../../src/restore/device/node-device.ts';
import { RestorerGraph } from '../../../src/restore/graph.ts';
import { readModel } from '../../../src/restore/manifest.ts';
import { pictureBytes } from '../../../src/restore/picture.ts';
import { openDevice } from '../../../src/restore/providers.ts';
import { selfCheck } from '../../../src/restore/self-check.ts';
import { FIXTURE_MODELS, REAL_MODELS } from '../../support/restoring.ts';
import { noise, SameStreams, SIZES_IN_TURN } from '../../support/same-streams.ts';
import { noVulkan, SOFTWARE_VULKAN } from '../../support/software-vulkan.ts';

// The real provider: only the Vulkan driver below it computes on this host's processor.
const skip = noVulkan;
process.env.VK_DRIVER_FILES = SOFTWARE_VULKAN;
let webgpu: Device;
const cpu = new CpuDevice(1);
before(async () => {
  if (!skip) webgpu = await openDevice('webgpu', { threads: 1, device: 0 });
});
after(() => webgpu?.release());

/** Of lite's pictures. */
const [WIDTH, HEIGHT] = [64, 48];

for (const model of ['blend', 'count']) {
  test(`${model} on WebGPU, with window, state and smoothed picture on the device: every frame is the CPU's`, {
    skip,
  }, async () => {
    const [restorer, smoother] = [
      await readModel(FIXTURE_MODELS, model),
      await readModel(REAL_MODELS, 'smoother'),
    ];
    const streams = await SameStreams.open([webgpu, cpu], restorer, smoother);
    await selfCheck(streams.sides[0]!.graph, streams.sides[1]!.graph);
    for (const [width, height] of SIZES_IN_TURN) await streams.next(width, height);
    await streams.release();
  });
}

/** Four frames by lite, one at a time; the picture is the smallest, since each takes a driver in software long. */
async function restoreByLite(
  device: Device,
  graph: Uint8Array,
  stateType: ElementType,
): Promise<Uint8Array[]> {
  const { manifest } = await readModel(REAL_MODELS, 'lite');
  assert.ok(manifest.kind === 'restorer');
  const { input, output, channels, divisor } = manifest.state[0]!;
  const stateDims: Dims = [1, channels, HEIGHT / divisor, WIDTH / divisor];
  const pictureDims: Dims = [1, 1, (HEIGHT * 3) / 2, WIDTH];
  const zeros = () => {
    const count = elements(stateDims);
    return stateType === 'float16' ? new Float16Array(count) : new Float32Array(count);
  };
  const executor = await device.open(graph);
  const picture = (at: number) => device.upload(noise(WIDTH, HEIGHT, at), 'uint8', pictureDims);
  const strength = await device.upload(new Float32Array([1]), 'float32', [1]);
  let state = await device.upload(zeros(), stateType, stateDims);
  let older = await picture(0);
  const outs: Uint8Array[] = [];
  for (let at = 1; at <= 4; at++) {
    const newest = await picture(at);
    const results = await executor.run(
      { frame_0: older, frame_1: newest, strength, [input]: state },
      { restored: { type: 'uint8', dims: pictureDims }, [output]: { type: stateType, dims: stateDims } },
    );
    const out = new Uint8Array(pictureBytes(WIDTH, HEIGHT));
    await device.download(results.restored!, out);
    outs.push(out);
    for (const used of [older, state, results.restored!]) used.release();
    [older, state] = [newest, results[output]!];
  }
  const carried = zeros();
  await device.download(state, carried);
  assert.ok(carried.some((value) => value !== 0) && carried.every(Number.isFinite));
  for (const used of [older, state, strength]) used.release();
  await executor.release();
  return outs;
}

/** The largest difference of two series of pictures, in 8-bit steps. */
function worst(some: Uint8Array[], others: Uint8Array[]): number {
  const steps = some.map((out, at) =>
    out.reduce((most, value, i) => Math.max(most, Math.abs(value - others[at]![i]!)), 0),
  );
  return Math.max(...steps);
}

test('lite on WebGPU restores as on the CPU, in half precision too where the driver has it', {
  skip,
}, async (t) => {
  const { graph, half } = await readModel(REAL_MODELS, 'lite');
  const expected = await restoreByLite(cpu, graph, 'float32');
  const source = expected.map((_, at) => noise(WIDTH, HEIGHT, at + 1));
  assert.ok(worst(expected, source) > 4, 'it restores something');
  assert.ok(worst(await restoreByLite(webgpu, graph, 'float32'), expected) <= 1);
  const refusal = await webgpu.open(half!).then(
    (executor) => executor.release(),
    (error: Error) => error.message,
  );
  if (!refusal) return assert.ok(worst(await restoreByLite(webgpu, half!, 'float16'), expected) <= 3);
  // What has a model opened in single precision instead.
  assert.match(refusal, /requires f16 but the device does not support it/);
  t.diagnostic('this driver has no half precision');
});

test('a size for which there is no memory is refused, and the device goes on', { skip }, async () => {
  const graph = await RestorerGraph.open(await readModel(FIXTURE_MODELS, 'hungry'), webgpu);
  const restore = async (width: number, height: number) => {
    const out = new Uint8Array(pictureBytes(width, height));
    await graph.run([noise(width, height, 0)], width, height, 1, {}, out);
    return out[0]! - noise(width, height, 0)[0]!;
  };
  assert.equal(await restore(64, 64), 10);
  await assert.rejects(restore(704, 384), /Failed to allocate memory/);
  assert.equal(await restore(64, 64), 10);
  await graph.release();
});
