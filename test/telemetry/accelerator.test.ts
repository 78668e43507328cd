import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { type AcceleratorReading, countGpus, GpuMonitor, parseGpu } from '../../src/telemetry/accelerator.ts';
import { CpuMeter } from '../../src/telemetry/cpu-meter.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { fakeNvidiaSmi } from '../support/nvidia-smi.ts';
import { isRunning } from '../support/processes.ts';

const GIB = 2 ** 30;
const FULL = '0, 87, 10240, 81920, 64, 412.50, [N/A], 12';

/** Resolves once the readings meet a condition; the runner's timeout bounds it. */
async function until(
  monitor: GpuMonitor,
  condition: (readings: AcceleratorReading[]) => boolean,
): Promise<AcceleratorReading[]> {
  for (;;) {
    const readings = monitor.read();
    if (condition(readings)) return readings;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('GPU readings', { timeout: 60_000 }, () => {
  it('come from what nvidia-smi prints, without what the driver does not say', () => {
    assert.deepEqual(parseGpu(FULL), {
      device: 'gpu0',
      utilization: 0.87,
      used: 10 * GIB,
      total: 80 * GIB,
      temperature: 64,
      power: 412.5,
      decoder: 0.12,
    });
    assert.deepEqual(parseGpu('1, [N/A], 1024, 2048'), { device: 'gpu1', used: GIB, total: 2 * GIB });
    for (const garbage of ['', 'NVIDIA-SMI has failed because it could not communicate', '0, 1', ', , , '])
      assert.equal(parseGpu(garbage), undefined);
  });

  it('come from one process, which ends with the monitor', async () => {
    await using directory = await temporaryDirectory();
    const starts = join(directory.path, 'starts');
    const command = await fakeNvidiaSmi(
      directory.path,
      `echo start >> ${starts}\nwhile :; do echo "${FULL}"; echo "1, 0, 0, 81920, 30, 70.1, 0, 0"; sleep 0.05; done`,
    );
    const monitor = new GpuMonitor({ command, period: 5000 });
    const { pid } = monitor;
    const readings = await until(monitor, (all) => all.length === 2);
    assert.deepEqual(
      readings.map(({ device, temperature }) => [device, temperature]),
      [
        ['gpu0', 64],
        ['gpu1', 30],
      ],
    );
    monitor.close();
    while (await isRunning(pid!)) await new Promise(setImmediate);
    assert.equal(await readFile(starts, 'utf8'), 'start\n');
  });

  it('come back after the tool hung, died, or printed something else', async () => {
    await using directory = await temporaryDirectory();
    const starts = join(directory.path, 'starts');
    // Prints a reading and hangs; then garbage and an exit; then it works.
    const command = await fakeNvidiaSmi(
      directory.path,
      `echo start >> ${starts}
case $(wc -l < ${starts}) in
  1) echo "0, 1, 0, 81920"; exec sleep 1000 ;;
  2) head -c 100000 /dev/urandom; echo; echo "Unable to determine the device handle"; exit 9 ;;
  *) while :; do echo "0, 3, 0, 81920"; sleep 0.05; done ;;
esac`,
    );
    const monitor = new GpuMonitor({ command, period: 100 });
    try {
      await until(monitor, ([gpu]) => gpu?.utilization === 0.01);
      // What hangs is not shown as what is.
      await until(monitor, (all) => all.length === 0);
      await until(monitor, ([gpu]) => gpu?.utilization === 0.03);
    } finally {
      monitor.close();
    }
  });

  it('are the first four of a driver that does not know all the fields', async () => {
    await using directory = await temporaryDirectory();
    const command = await fakeNvidiaSmi(
      directory.path,
      `case "$*" in *encoder*) echo 'Field "utilization.encoder" is not a valid field to query.'; exit 2 ;; esac
while :; do echo "0, 5, 0, 81920"; sleep 0.05; done`,
    );
    const monitor = new GpuMonitor({ command, period: 5000 });
    try {
      const [gpu] = await until(monitor, (all) => all.length === 1);
      assert.equal(gpu!.utilization, 0.05);
    } finally {
      monitor.close();
    }
  });

  it('are none without the tool', async () => {
    const monitor = new GpuMonitor({ command: '/nonexistent/nvidia-smi', period: 10 });
    assert.equal(monitor.pid, undefined);
    assert.deepEqual(monitor.read(), []);
    monitor.close();
  });

  it('say how many GPUs there are', async () => {
    await using directory = await temporaryDirectory();
    const command = await fakeNvidiaSmi(
      directory.path,
      'echo "GPU 0: NVIDIA H200 (UUID: GPU-a)"; echo "  MIG 1g.18gb Device 0: (UUID: MIG-b)"; echo "GPU 1: NVIDIA H200 (UUID: GPU-c)"',
    );
    assert.equal(await countGpus(command), 2);
    assert.equal(await countGpus('false'), 0);
    assert.equal(await countGpus('/nonexistent/nvidia-smi'), 0);
  });
});

describe('CpuMeter', () => {
  it('reads what processes take of the processor and of memory', async () => {
    const meter = new CpuMeter();
    const first = await meter.read([process.pid]);
    assert.equal(first?.utilization, undefined);
    assert.ok(first?.used && first.total && first.used < first.total);
    const busyUntil = performance.now() + 100;
    while (performance.now() < busyUntil);
    const second = await meter.read([process.pid, process.ppid]);
    assert.ok(second?.utilization !== undefined && second.utilization > 0 && second.utilization <= 1);
    assert.ok(second.used! > first.used, 'the second process counts as well');
  });

  it('says nothing of a process that is gone', async () => {
    assert.equal(await new CpuMeter().read([2 ** 22 + 1]), undefined);
  });
});
