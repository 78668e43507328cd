import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from '../support/ffmpeg.ts';

const OPENS = {
  'on the main thread': `import { readFile } from 'node:fs/promises';
  import { CpuDevice } from './src/restore/device/node-device.ts';
  const network = await readFile('test/fixtures/models/blend/weights.onnx');
  await (await new CpuDevice(1).open(network)).release();`,
  'in a thread that restores': `import { Inference } from './src/restore/inference.ts';
  const options = { models: 'test/fixtures/models', provider: 'cpu', threads: 1 };
  const inference = new Inference(options, (error) => { throw error; });
  await inference.ready;
  await inference.close();`,
};

for (const [where, script] of Object.entries(OPENS))
  test(`ONNX Runtime numbers no host and collects nothing to send, ${where}`, async () => {
    await using home = await temporaryDirectory();
    // In what it takes for a CI it would not anyway.
    const { PATH } = process.env;
    await promisify(execFile)(process.execPath, ['-e', script], {
      cwd: `${import.meta.dirname}/../..`,
      env: { PATH, HOME: home.path },
    });
    assert.deepEqual(await readdir(home.path, { recursive: true }), []);
  });
