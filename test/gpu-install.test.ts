import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import { installGpu } from '../src/gpu-install.ts';
import { ORT_VERSION } from '../src/restore/device/cuda-libraries.ts';

const PROVIDER = 'libonnxruntime_providers_cuda.so';
const SHARED = 'libonnxruntime_providers_shared.so';

/** A folder with what a provider's library says of its version. */
async function material(t: TestContext, version: string) {
  const root = await mkdtemp(join(tmpdir(), 'clearway-gpu-test-'));
  t.after(() => rm(root, { recursive: true }));
  const folder = join(root, 'wheel/onnxruntime/capi');
  const into = join(root, 'into');
  await mkdir(folder, { recursive: true });
  await mkdir(into);
  await writeFile(join(folder, PROVIDER), `\x7fELF\0${version}\0`);
  await writeFile(join(folder, SHARED), 'shared');
  await writeFile(join(folder, 'libonnxruntime.so.1.30.0'), 'not wanted');
  return { root, folder, into };
}

const install = async (from: string[], into: string) => {
  const said: string[] = [];
  await installGpu(from, (line) => said.push(line), into).catch((error: Error) => said.push(error.message));
  return said.join('\n');
};

test('a wheel and a folder give the same libraries, and what CUDA lacks is said', async (t) => {
  const { root, folder, into } = await material(t, ORT_VERSION);
  const wheel = join(root, 'onnxruntime_gpu.whl');
  await promisify(execFile)('python3', ['-m', 'zipfile', '-c', wheel, join(root, 'wheel/onnxruntime')]);
  for (const from of [wheel, folder]) {
    const said = await install([from], into);
    assert.match(said, new RegExp(`the CUDA provider of ONNX Runtime ${ORT_VERSION} is in`));
    assert.deepEqual((await readdir(into)).sort(), [PROVIDER, SHARED]);
    assert.equal(await readFile(join(into, SHARED), 'utf8'), 'shared');
    for (const name of await readdir(into)) await rm(join(into, name));
  }
});

test("CUDA's libraries in a folder are linked to, not copied", async (t) => {
  const { root, folder, into } = await material(t, ORT_VERSION);
  const cuda = join(root, 'cuda/lib');
  await mkdir(cuda, { recursive: true });
  await writeFile(join(cuda, 'libcudart.so.13'), 'cudart');
  await install([folder, join(root, 'cuda')], into);
  assert.ok((await lstat(join(into, 'libcudart.so.13'))).isSymbolicLink());
  const again = await install([folder, join(root, 'cuda')], into);
  assert.match(again, /libcudart\.so\.13 is from .* already.*the CUDA provider of ONNX Runtime .* is in/s);
});

test('a provider of another version, a file that is no wheel, a folder without libraries: each is named', async (t) => {
  const { root, folder, into } = await material(t, '1.29.2');
  assert.match(await install([folder], into), /installed is of ONNX Runtime 1\.29\.2, onnxruntime-node of/);
  const bad = join(root, 'bad.whl');
  await writeFile(bad, 'not a zip');
  assert.match(await install([bad], into), /bad\.whl is not a wheel that can be read/);
  const empty = join(root, 'empty');
  await mkdir(empty);
  assert.match(await install([empty], into), /holds none of the libraries wanted/);
  assert.match(await install([join(root, 'absent')], into), /absent is not there/);
});
