import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { CpuDevice } from '../../src/restore/device/node-device.ts';
import { RestorerGraph, SmootherGraph } from '../../src/restore/graph.ts';
import { listModels, readModel } from '../../src/restore/manifest.ts';

const MODELS = join(import.meta.dirname, '../fixtures/models');
const SHIPPED = join(import.meta.dirname, '../../models');
const CPU = new CpuDevice(1);

async function openRestorer(name: string, directory = MODELS): Promise<void> {
  const graph = await RestorerGraph.open(await readModel(directory, name), CPU);
  await graph.release();
}

test('models that meet the contract open', async () => {
  for (const name of ['brighten', 'blend', 'ahead', 'count']) await openRestorer(name);
  await (await SmootherGraph.open(await readModel(MODELS, 'smoother'), CPU)).release();
});

const REFUSED: Record<string, RegExp> = {
  'no-strength': /no input strength/,
  'float-out': /output restored is float32/,
  'nan-weights': /strength 0/,
  'wrong-hash': /sha256/,
  'wrong-window': /no input frame_1/,
  destroys: /smooth picture/,
  smoother: /not a restorer/,
  'one-size': /does not run on a 320x192 picture/,
};

for (const [name, reason] of Object.entries(REFUSED)) {
  test(`model ${name} is refused with what is wrong`, async () => {
    await assert.rejects(openRestorer(name), (error: { code: string; message: string }) => {
      assert.equal(error.code, 'CLEARWAY_MODEL_INVALID');
      assert.match(error.message, reason);
      return true;
    });
  });
}

test('a smoother that does not run is refused with what is wrong', async () => {
  const files = await readModel(MODELS, 'one-size-smoother');
  await assert.rejects(SmootherGraph.open(files, CPU), /does not run on a 320x192 picture/);
});

test('a model that is not there, and names that lead elsewhere, are refused', async () => {
  await assert.rejects(readModel(MODELS, 'absent'), { code: 'CLEARWAY_MODEL_NOT_FOUND' });
  await assert.rejects(readModel(MODELS, '../models/blend'), { code: 'CLEARWAY_MODEL_INVALID' });
});

test('damaged manifests and graphs are refused by name', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'clearway-models-'));
  try {
    await cp(join(MODELS, 'brighten'), join(directory, 'brighten'), { recursive: true });
    await writeFile(join(directory, 'brighten', 'weights.onnx'), 'not a graph');
    await assert.rejects(readModel(directory, 'brighten'), /sha256/);
    await writeFile(join(directory, 'brighten', 'model.json'), '{ "kind": "restorer" }');
    await assert.rejects(readModel(directory, 'brighten'), /model.json, name/);
    await writeFile(join(directory, 'brighten', 'model.json'), '{');
    await assert.rejects(readModel(directory, 'brighten'), /not JSON/);
    assert.deepEqual(await listModels(directory), ['brighten']);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('a state whose cells do not fill every picture is refused', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'clearway-models-'));
  try {
    await cp(join(MODELS, 'count'), join(directory, 'count'), { recursive: true });
    const path = join(directory, 'count', 'model.json');
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...manifest, alignment: 4 }));
    await assert.rejects(readModel(directory, 'count'), /state\.0\.divisor: must divide the alignment/);
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('every shipped model meets the contract', async () => {
  const names = await listModels(SHIPPED);
  assert.ok(names.includes('lite') && names.includes('smoother'), `shipped: ${names}`);
  for (const name of names) {
    const files = await readModel(SHIPPED, name);
    const Kind = files.manifest.kind === 'smoother' ? SmootherGraph : RestorerGraph;
    await (await Kind.open(files, CPU)).release();
  }
});
