import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { readLines } from '../codec/lines.ts';

/** What one accelerator is doing. What the driver does not say (a MIG slice, an old driver) is absent. */
export interface AcceleratorReading {
  /** `gpu0`, `gpu1`, ... or `cpu`. */
  device: string;
  /** 0 to 1 */
  utilization?: number;
  /** Bytes. */
  used?: number;
  /** Bytes. */
  total?: number;
  /** Degrees Celsius. */
  temperature?: number;
  /** Watts. */
  power?: number;
  /** Share of time the video encoder is busy, 0 to 1. */
  encoder?: number;
  /** Share of time the video decoder is busy, 0 to 1. */
  decoder?: number;
}

/** Every driver answers the first four; one that does not know all of them answers none. */
const FIELDS = 'index,utilization.gpu,memory.used,memory.total';
const MORE_FIELDS = `${FIELDS},temperature.gpu,power.draw,utilization.encoder,utilization.decoder`;
const MIB = 2 ** 20;
/** Asking a host of many sleeping GPUs wakes them up one by one, ms. */
const LIST_TIMEOUT = 15_000;
/** The last reading of a tool that fell silent counts for so many periods; then it is started anew. */
const SILENT_PERIODS = 3;
/** Waits before it is started again, ms. */
const RESTART_FIRST = 1000;
const RESTART_MOST = 60_000;

/** How many NVIDIA GPUs the driver's own tool lists; 0 when it fails or is not there. */
export async function countGpus(command = 'nvidia-smi'): Promise<number> {
  try {
    const { stdout } = await promisify(execFile)(command, ['-L'], { timeout: LIST_TIMEOUT });
    return stdout.match(/^GPU \d+:/gm)?.length ?? 0;
  } catch {
    return 0;
  }
}

/** Reads one line of nvidia-smi's CSV, in the order of the fields asked for; undefined for anything else. */
export function parseGpu(line: string): AcceleratorReading | undefined {
  const [index, ...cells] = line.split(',').map((cell) => cell.trim());
  if (!/^\d{1,3}$/.test(index!) || (cells.length !== 3 && cells.length !== 7)) return undefined;
  const [utilization, used, total, temperature, power, encoder, decoder] = cells.map((cell) =>
    /^-?\d{1,9}(\.\d+)?$/.test(cell) ? Number(cell) : undefined,
  );
  const figures = {
    utilization: share(utilization),
    used: used === undefined ? undefined : used * MIB,
    total: total === undefined ? undefined : total * MIB,
    temperature,
    power,
    encoder: share(encoder),
    decoder: share(decoder),
  };
  const known = Object.entries(figures).filter(([, value]) => value !== undefined);
  return { device: `gpu${index}`, ...Object.fromEntries(known) };
}

function share(percent: number | undefined): number | undefined {
  return percent === undefined ? undefined : Math.min(1, percent / 100);
}

export interface GpuMonitorOptions {
  /** The driver's tool. */
  command?: string;
  /** ms between two readings */
  period: number;
}

/**
 * NVML's figures of every NVIDIA GPU, from one long-lived `nvidia-smi` that prints them in a loop: a process for each
 * reading would cost 50 to 100 ms of a core. Started again when it dies, hangs or does not know a field; where there
 * is no such tool it is not looked for again.
 */
export class GpuMonitor {
  private readonly command: string;
  private readonly period: number;
  private readonly latest = new Map<string, { reading: AcceleratorReading; at: number }>();
  private child: ChildProcess | undefined;
  private watchdog: NodeJS.Timeout | undefined;
  private restart: NodeJS.Timeout | undefined;
  private restartAfter = RESTART_FIRST;
  private fields = MORE_FIELDS;
  private closed = false;

  constructor({ command = 'nvidia-smi', period }: GpuMonitorOptions) {
    this.command = command;
    this.period = period;
    this.start();
  }

  /** The latest readings, by device; none of a GPU that has not been heard of for some periods. */
  read(): AcceleratorReading[] {
    const oldest = performance.now() - SILENT_PERIODS * this.period;
    return [...this.latest.values()].flatMap(({ reading, at }) => (at < oldest ? [] : [reading]));
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  close(): void {
    this.closed = true;
    clearTimeout(this.restart);
    clearTimeout(this.watchdog);
    this.child?.kill('SIGKILL');
  }

  private start(): void {
    const child = spawn(
      this.command,
      [`--query-gpu=${this.fields}`, '--format=csv,noheader,nounits', '-lms', String(this.period)],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    this.child = child;
    let heard = false;
    readLines(child.stdout, (line) => {
      const reading = parseGpu(line);
      if (!reading) return;
      heard = true;
      this.restartAfter = RESTART_FIRST;
      this.latest.set(reading.device, { reading, at: performance.now() });
      this.expectLine(child, SILENT_PERIODS * this.period);
    });
    this.expectLine(child, LIST_TIMEOUT + this.period);
    child.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') this.again(heard);
      else clearTimeout(this.watchdog);
    });
    child.once('close', () => {
      if (child.pid !== undefined) this.again(heard);
    });
  }

  private expectLine(child: ChildProcess, within: number): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => child.kill('SIGKILL'), within);
    this.watchdog.unref();
  }

  private again(heard: boolean): void {
    clearTimeout(this.watchdog);
    if (this.closed) return;
    // Asked for a field it does not know it prints no reading at all.
    if (!heard) this.fields = this.fields === FIELDS ? MORE_FIELDS : FIELDS;
    this.restart = setTimeout(() => this.start(), this.restartAfter);
    this.restart.unref();
    this.restartAfter = Math.min(this.restartAfter * 2, RESTART_MOST);
  }
}
