import assert from 'node:assert/strict';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { CpuMeter, parseGpus, readGpus } from '../../src/telemetry/accelerator.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';

const GIB = 2 ** 30;

describe('GPU readings', () => {
  it('come from what nvidia-smi prints', async () => {
    await using directory = await temporaryDirectory();
    const command = join(directory.path, 'nvidia-smi');
    await writeFile(command, '#!/bin/sh\necho "0, 87, 10240, 81920"\necho "1, 0, 0, 81920"\n');
    await chmod(command, 0o755);
    assert.deepEqual(await readGpus(command), [
      { device: 'gpu0', utilization: 0.87, used: 10 * GIB, total: 80 * GIB },
      { device: 'gpu1', utilization: 0, used: 0, total: 80 * GIB },
    ]);
  });

  it('leave out what the driver does not say', () => {
    assert.deepEqual(parseGpus('0, [N/A], 1024, 2048\n'), [{ device: 'gpu0', used: GIB, total: 2 * GIB }]);
    assert.deepEqual(parseGpus('NVIDIA-SMI has failed because it could not communicate\n'), []);
  });

  it('are none while the driver fails, and are not to be had without its tool', async () => {
    assert.deepEqual(await readGpus('false'), []);
    assert.equal(await readGpus('/nonexistent/nvidia-smi'), undefined);
  });
});

describe('CpuMeter', () => {
  it('reads what a process takes of the processor and of memory', async () => {
    const meter = new CpuMeter();
    const first = await meter.read(process.pid);
    assert.equal(first?.utilization, undefined);
    assert.ok(first?.used && first.total && first.used < first.total);
    const busyUntil = performance.now() + 100;
    while (performance.now() < busyUntil);
    const second = await meter.read(process.pid);
    assert.ok(second?.utilization !== undefined && second.utilization > 0 && second.utilization <= 1);
  });

  it('says nothing of a process that is gone', async () => {
    assert.equal(await new CpuMeter().read(2 ** 22 + 1), undefined);
  });
});
