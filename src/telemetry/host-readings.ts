import { X509Certificate } from 'node:crypto';
import { readFile, statfs } from 'node:fs/promises';
import { CpuMeter, readGpus } from './accelerator.ts';
import type { Metrics } from './metrics.ts';

/** Alerts look at minutes, ms. */
const EVERY = 10_000;

export interface HostReadingsOptions {
  metrics: Metrics;
  /** The restorer process; undefined while it is down. */
  restorerPid(): number | undefined;
  /** Directories the gateway writes to, by what they hold; the name is the label. */
  directories: Record<string, string>;
  /** PEM file of the TLS certificate, when there is one. */
  certificate: string | undefined;
}

/** Reads what the gateway depends on but does not do itself: accelerators, disks, the certificate. */
export class HostReadings {
  private readonly options: HostReadingsOptions;
  private readonly cpu = new CpuMeter();
  private readonly timer: NodeJS.Timeout;
  private reading = false;
  /** Becomes false once the driver's tool was not found: looking for it costs a process each time. */
  private hasGpus = true;

  constructor(options: HostReadingsOptions) {
    this.options = options;
    this.timer = setInterval(() => void this.read(), EVERY);
    this.timer.unref();
    void this.read();
  }

  close(): void {
    clearInterval(this.timer);
  }

  /** Reads everything once. */
  async read(): Promise<void> {
    // A reading that hangs is not joined by a second one.
    if (this.reading) return;
    this.reading = true;
    try {
      await Promise.all([this.readAccelerators(), this.readDisks(), this.readCertificate()]);
    } finally {
      this.reading = false;
    }
  }

  private async readAccelerators(): Promise<void> {
    const { metrics, restorerPid } = this.options;
    const pid = restorerPid();
    const gpus = this.hasGpus ? await readGpus() : undefined;
    this.hasGpus = gpus !== undefined;
    const cpu = pid === undefined ? undefined : await this.cpu.read(pid);
    const { acceleratorUtilization, acceleratorMemory, acceleratorMemoryTotal } = metrics;
    // What does not answer now must not look busy for ever.
    for (const gauge of [acceleratorUtilization, acceleratorMemory, acceleratorMemoryTotal]) gauge.reset();
    for (const { device, utilization, used, total } of [...(gpus ?? []), ...(cpu ? [cpu] : [])]) {
      if (utilization !== undefined) acceleratorUtilization.set({ device }, utilization);
      if (used !== undefined) acceleratorMemory.set({ device }, used);
      if (total !== undefined) acceleratorMemoryTotal.set({ device }, total);
    }
  }

  private async readDisks(): Promise<void> {
    const { metrics, directories } = this.options;
    for (const [directory, path] of Object.entries(directories)) {
      try {
        const { bsize, bavail, blocks } = await statfs(path);
        metrics.diskFree.set({ directory }, bavail * bsize);
        metrics.diskSize.set({ directory }, blocks * bsize);
      } catch {
        metrics.diskFree.remove({ directory });
        metrics.diskSize.remove({ directory });
      }
    }
  }

  private async readCertificate(): Promise<void> {
    const { metrics, certificate } = this.options;
    if (certificate === undefined) return;
    try {
      const { validTo } = new X509Certificate(await readFile(certificate));
      metrics.certificateEnd.set(Date.parse(validTo) / 1000);
    } catch {
      // Being replaced: the one in use stays, and so does its date.
    }
  }
}
