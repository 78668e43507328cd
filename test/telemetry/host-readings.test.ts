import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { HostReadings } from '../../src/telemetry/host-readings.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';

const seriesValue = (text: string, series: string): number | undefined => {
  const line = text.split('\n').find((line) => line.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
};

describe('HostReadings', () => {
  it("reads the disk's room, whether the configuration is good, and the certificate's end, which it keeps while that file is replaced", async () => {
    await using directory = await temporaryDirectory();
    const certificate = join(directory.path, 'cert.pem');
    execFileSync(
      'openssl',
      `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=test -keyout ${directory.path}/key.pem -out ${certificate}`.split(
        ' ',
      ),
      { stdio: 'ignore' },
    );
    const metrics = new Metrics();
    let configValid = true;
    const readings = new HostReadings({
      metrics,
      restorerPids: () => [process.pid],
      directories: { config: directory.path, gone: '/nonexistent' },
      configValid: () => configValid,
      certificate,
    });
    try {
      // The constructor's own first reading may still be going on.
      let text = '';
      while (seriesValue(text, 'clearway_certificate_not_after_timestamp_seconds') === undefined) {
        await readings.read();
        text = await metrics.registry.metrics();
        await new Promise((resolve) => setImmediate(resolve));
      }
      while (seriesValue(text, 'clearway_accelerator_memory_used_bytes{device="cpu"}') === undefined) {
        text = await metrics.registry.metrics();
        await new Promise((resolve) => setImmediate(resolve));
      }
      const days =
        (seriesValue(text, 'clearway_certificate_not_after_timestamp_seconds')! - Date.now() / 1000) / 86_400;
      assert.ok(days > 29.9 && days <= 30, `${days} days`);
      const free = seriesValue(text, 'clearway_disk_free_bytes{directory="config"}')!;
      assert.ok(free > 0 && free <= seriesValue(text, 'clearway_disk_size_bytes{directory="config"}')!);
      assert.equal(seriesValue(text, 'clearway_disk_free_bytes{directory="gone"}'), undefined);
      assert.equal(seriesValue(text, 'clearway_config_valid'), 1);
      configValid = false;
      await rm(certificate);
      await readings.read();
      text = await metrics.registry.metrics();
      assert.ok(seriesValue(text, 'clearway_certificate_not_after_timestamp_seconds'));
      assert.equal(seriesValue(text, 'clearway_config_valid'), 0);
    } finally {
      readings.close();
    }
  });

  it('has no certificate to end without TLS', async () => {
    const text = await new Metrics().registry.metrics();
    assert.equal(seriesValue(text, 'clearway_certificate_not_after_timestamp_seconds'), undefined);
  });
});
