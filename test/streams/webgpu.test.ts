import assert from 'node:assert/strict';
import { once } from 'node:events';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { after, test } from 'node:test';
import type { RestorerFacts } from '../../src/contracts/restorer.ts';
import type { RestorerOptions } from '../../src/restore/restorer-process.ts';
import { askRestorer } from '../../src/streams/ask-restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { restoredOn, startStream } from '../support/one-stream.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';
import { noVulkan, SOFTWARE_VULKAN } from '../support/software-vulkan.ts';

const skip = noVulkan;
const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());
const models = join(directory.path, 'models');
await cp(join(FIXTURE_MODELS, 'blend'), join(models, 'blend'), { recursive: true });

const OPTIONS: RestorerOptions = {
  models,
  provider: 'webgpu',
  only: 'webgpu',
  threads: 1,
  log: { level: 'silent', format: 'json' },
};

test('a restorer process restores a stream on WebGPU', { skip }, async (t) => {
  process.env.VK_DRIVER_FILES = SOFTWARE_VULKAN;
  t.after(() => delete process.env.VK_DRIVER_FILES);
  // As one that was restarted: how slow a driver in software is, is not measured again.
  const known: RestorerFacts = {
    provider: 'webgpu',
    models: [],
    speeds: { blend: { fixed: 1, perMegapixel: 1 } },
    lanes: 1,
    providers: [],
  };
  const restorer = new RestorerClient({ ...OPTIONS, known }, silentLogger);
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'opened');
  startStream(restorer);
  await restoredOn(restorer, 'webgpu');
});

test('a renderer in software that the host has installed is left out, unless the environment names it', {
  skip,
}, async (t) => {
  const found = join(directory.path, 'vulkan/icd.d/vk_swiftshader_icd.json');
  await mkdir(dirname(found), { recursive: true });
  const manifest = JSON.parse(await readFile(SOFTWARE_VULKAN, 'utf8'));
  manifest.ICD.library_path = resolve(dirname(SOFTWARE_VULKAN), manifest.ICD.library_path);
  await writeFile(found, JSON.stringify(manifest));
  // Where Vulkan's loader looks for drivers, besides the system's folders.
  process.env.XDG_DATA_HOME = directory.path;
  process.env.NODE_OPTIONS = `--import ${new URL('../support/render-node/hooks.ts', import.meta.url)}`;
  t.after(() => {
    for (const name of ['XDG_DATA_HOME', 'NODE_OPTIONS', 'VK_DRIVER_FILES']) delete process.env[name];
  });
  const detail = async () => (await askRestorer(OPTIONS))?.providers[0]?.detail ?? '';
  assert.match(await detail(), /^Vulkan has no usable GPU .*install .* the GPU's Vulkan driver$/);
  process.env.VK_DRIVER_FILES = found;
  assert.match(await detail(), /^Model blend takes .* ms on webgpu and .* ms on the CPU\.$/);
});
