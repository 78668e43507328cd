import { X509Certificate } from 'node:crypto';
import { readFile, statfs } from 'node:fs/promises';
import { GpuMonitor } from './accelerator.ts';
import { CpuMeter } from './cpu-meter.ts';
import type { Metrics } from './metrics.ts';

/** Alerts look at minutes, ms. */
const EVERY = 10_000;
/** The driver's tool prints so often, ms. */
const GPU_PERIOD = 5000;

export interface HostReadingsOptions {
  metrics: Metrics;
  /** The restorer processes that run. */
  restorerPids(): number[];
  /** The NVIDIA driver's tool (default nvidia-smi). */
  gpuCommand?: string;
  /** Directories the gateway writes to, by what they hold; the name is the label. */
  directories: Record<string, string>;
  /** Whether the next start could use the configuration file. */
  configValid(): boolean;
  /** PEM file of the TLS certificate, when there is one. */
  certificate: string | undefined;
}

/** Reads what the gateway depends on but does not do itself: accelerators, disks, configuration file, certificate. */
export class HostReadings {
  private readonly options: HostReadingsOptions;
  private readonly cpu = new CpuMeter();
  private readonly timer: NodeJS.Timeout;
  private readonly gpus: GpuMonitor;
  private reading = false;

  constructor(options: HostReadingsOptions) {
    this.options = options;
    const { gpuCommand } = options;
    this.gpus = new GpuMonitor({ period: GPU_PERIOD, ...(gpuCommand ? { command: gpuCommand } : {}) });
    this.timer = setInterval(() => void this.read(), EVERY);
    this.timer.unref();
    void this.read();
  }

  close(): void {
    clearInterval(this.timer);
    this.gpus.close();
  }

  /** Reads everything once. */
  async read(): Promise<void> {
    // A reading that hangs is not joined by a second one.
    if (this.reading) return;
    this.reading = true;
    try {
      this.readAccelerators();
      this.options.metrics.configValid.set(this.options.configValid() ? 1 : 0);
      await Promise.all([this.readDisks(), this.readCertificate()]);
    } finally {
      this.reading = false;
    }
  }

  private readAccelerators(): void {
    const { metrics, restorerPids } = this.options;
    const cpu = this.cpu.read(restorerPids());
    metrics.observeAccelerators([...this.gpus.read(), ...(cpu ? [cpu] : [])]);
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
