/**
 * What one accelerator does, through the engine that runs live: `npm run bench:gpu -- [options]`.
 *
 *   --only PART      frames, streams, memory, live, gpus (all but gpus)
 *   --providers A,B  of tensorrt, cuda, webgpu, cpu (those that work here)
 *   --models DIR     directory of model directories (models)
 *   --model A,B      of them (all restorers)
 *   --sizes A,B      lines of 16:9 pictures (360,720,1080)
 *   --frames N       timed, of one stream (200)
 *   --seconds N      of each attempt to hold streams (4)
 *   --lanes A,B      inference threads of that part (as many as run live)
 *   --soak N         frames of the memory part (20000)
 *   --cycles N       sessions it creates and releases (200)
 *   --streams A,B    numbers of live streams (16,12,8,1)
 *   --decode HOW     of theirs: software, auto (software)
 *   --limit FILE     what gpu_limit.py printed on this machine: the same networks in PyTorch
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { PROVIDERS } from '../../src/contracts/restorer.ts';
import type { Device, DeviceTensor, Executor, Provider } from '../../src/restore/device/device.ts';
import { RestorerGraph, SmootherGraph } from '../../src/restore/graph.ts';
import { listModels, type ModelFiles, readModel } from '../../src/restore/manifest.ts';
import { pictureBytes } from '../../src/restore/picture.ts';
import { openDevice } from '../../src/restore/providers.ts';
import { Restoration } from '../../src/restore/restoration.ts';
import { livePart } from './gpu-live.ts';
import { gpusPart, streamsPart } from './gpu-streams.ts';
import { describeHost, quantile, residentMiB, slope } from './host.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    providers: { type: 'string' },
    models: { type: 'string', default: 'models' },
    model: { type: 'string' },
    sizes: { type: 'string', default: '360,720,1080' },
    frames: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '4' },
    lanes: { type: 'string' },
    soak: { type: 'string', default: '20000' },
    cycles: { type: 'string', default: '200' },
    streams: { type: 'string', default: '16,12,8,1' },
    decode: { type: 'string', default: 'software' },
    limit: { type: 'string' },
  },
});

const SIZES = values.sizes.split(',').map(Number);
const FRAMES = Number(values.frames);
const WARM_UP = 20;

export interface Limit {
  /** ms of one run of the network alone, pictures on the GPU. */
  graph: number;
  /** ms a picture when four are run as one batch. */
  batch4: number;
}

const limits: Record<string, Limit> =
  values.limit && existsSync(values.limit) ? JSON.parse(readFileSync(values.limit, 'utf8')) : {};

function wants(part: string): boolean {
  return values.only ? values.only.split(',').includes(part) : part !== 'gpus';
}

function widthOf(height: number): number {
  return Math.round((height * 16) / 9 / 2) * 2;
}

function gpuName(): string {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', query, { encoding: 'utf8' }).trim().replaceAll('\n', ' | ');
  } catch {
    return 'no NVIDIA GPU';
  }
}

/** The GPU that device 0 is, as the driver counts. */
const FIRST_GPU = process.env.CUDA_VISIBLE_DEVICES?.split(',')[0] || '0';

/** MiB in use on it, by everything. */
function gpuMiB(): number {
  try {
    const query = ['--query-gpu=memory.used', '--format=csv,noheader,nounits', '-i', FIRST_GPU];
    return Number.parseInt(execFileSync('nvidia-smi', query, { encoding: 'utf8' }), 10);
  } catch {
    return Number.NaN;
  }
}

/** A device that notes where the time goes; with `settle`, waits after each call, so that it is its own. */
class TimedDevice implements Device {
  readonly provider: Provider;
  readonly half: boolean;
  readonly spent = { copy: 0, graph: 0 };
  settles = false;
  private readonly device: Device;
  private readonly mark: DeviceTensor;
  private readonly sink = new Uint8Array(16);

  static async over(device: Device): Promise<TimedDevice> {
    return new TimedDevice(device, await device.upload(new Uint8Array(16), 'uint8', [1, 1, 4, 4]));
  }

  private constructor(device: Device, mark: DeviceTensor) {
    this.device = device;
    this.mark = mark;
    this.provider = device.provider;
    this.half = device.half;
  }

  async open(graph: Uint8Array): Promise<Executor> {
    const executor = await this.device.open(graph);
    return {
      inputs: executor.inputs,
      outputs: executor.outputs,
      run: (inputs, outputs) => this.timed('graph', () => executor.run(inputs, outputs)),
      release: () => executor.release(),
    };
  }

  upload(...args: Parameters<Device['upload']>): Promise<DeviceTensor> {
    return this.timed('copy', () => this.device.upload(...args));
  }

  download(...args: Parameters<Device['download']>): Promise<void> {
    return this.timed('copy', () => this.device.download(...args));
  }

  release(): Promise<void> {
    this.mark.release();
    return this.device.release();
  }

  private async timed<T>(what: 'copy' | 'graph', work: () => Promise<T>): Promise<T> {
    const began = performance.now();
    const result = await work();
    if (this.settles) await this.device.download(this.mark, this.sink);
    this.spent[what] += performance.now() - began;
    return result;
  }
}

/** One stream of noise that moves, through a Restoration, as the inference thread calls it. */
class Stream {
  private readonly restoration = new Restoration();
  private readonly spare: ArrayBuffer[] = [];
  private readonly out: Uint8Array;
  private readonly width: number;
  private readonly height: number;

  constructor(width: number, height: number, length: number) {
    this.width = width;
    this.height = height;
    this.out = new Uint8Array(pictureBytes(width, height));
    for (let at = 0; at < length + 2; at++) {
      const picture = new Uint8Array(this.out.length);
      for (let i = 0; i < picture.length; i++)
        picture[i] = 64 + (((i + at) >> 6) & 63) + (Math.imul(i + at * 31, 2654435761) >>> 29);
      this.spare.push(picture.buffer);
    }
  }

  /** @returns ms the frame took */
  async next(graph: RestorerGraph, smoother: SmootherGraph | undefined): Promise<number> {
    const { width, height } = this;
    const request = {
      width,
      height,
      strength: 1,
      smoothing: smoother ? 0.5 : 0,
      restore: true,
      fresh: false,
    };
    const began = performance.now();
    await this.restoration.next(this.spare.shift()!, request, graph, smoother, this.out, this.spare);
    return performance.now() - began;
  }

  close(): void {
    this.restoration.clear([]);
  }
}

async function chosenModels(): Promise<ModelFiles[]> {
  const chosen = values.model?.split(',');
  const files: ModelFiles[] = [];
  for (const name of await listModels(values.models)) {
    const model = await readModel(values.models, name);
    if (model.manifest.kind === 'restorer' && (chosen?.includes(name) ?? true)) files.push(model);
  }
  return files;
}

async function workingProviders(): Promise<Provider[]> {
  const wanted = (values.providers?.split(',') as Provider[] | undefined) ?? PROVIDERS;
  const working: Provider[] = [];
  for (const provider of wanted) {
    try {
      const device = await openDevice(provider, { threads: 8, device: 0 });
      await device.release();
      working.push(provider);
    } catch (error) {
      console.log(`- ${provider}: ${(error as Error).message}`);
    }
  }
  return working;
}

function row(cells: (string | number)[]): void {
  console.log(`| ${cells.join(' | ')} |`);
}

function table(...heads: string[]): void {
  row(heads);
  row(heads.map(() => '---'));
}

async function framesPart(providers: Provider[], models: ModelFiles[]): Promise<void> {
  console.log('\n## One stream, host memory to host memory\n');
  table(
    ...['model', 'size', 'provider', 'ms median', 'ms p95', 'with smoothing', 'copy', 'graph', 'JavaScript'],
    ...['GPU MiB', 'PyTorch fp16, CUDA graph, ms', 'share of its frame rate'],
  );
  for (const provider of providers) {
    for (const files of models) {
      for (const height of SIZES) await framesRow(provider, files, height);
    }
  }
}

async function framesRow(provider: Provider, files: ModelFiles, height: number): Promise<void> {
  const { name } = files.manifest;
  const width = widthOf(height);
  const before = gpuMiB();
  const device = await TimedDevice.over(await openDevice(provider, { threads: 8, device: 0 }));
  try {
    const graph = await RestorerGraph.open(files, device);
    const smoother = await SmootherGraph.open(await readModel(values.models, 'smoother'), device);
    const stream = new Stream(width, height, graph.length);
    const frames = provider === 'cpu' ? Math.ceil(FRAMES / 20) : FRAMES;
    const timed = async (smooth: SmootherGraph | undefined, count = frames) => {
      const times: number[] = [];
      for (let i = -Math.min(WARM_UP, count); i < count; i++) {
        const ms = await stream.next(graph, smooth);
        if (i >= 0) times.push(ms);
      }
      return times;
    };
    const plain = await timed(undefined);
    const smoothed = await timed(smoother);
    device.settles = provider !== 'cpu';
    Object.assign(device.spent, { copy: 0, graph: 0 });
    const began = performance.now();
    await timed(undefined, Math.ceil(frames / 4));
    const whole = performance.now() - began;
    const share = (ms: number) => `${Math.round((100 * ms) / whole)} %`;
    const { copy, graph: inGraph } = device.spent;
    const median = quantile(plain, 0.5);
    const limit = limits[`${name} ${height}`];
    row([
      ...[name, `${width}x${height}`, provider, median.toFixed(2), quantile(plain, 0.95).toFixed(2)],
      quantile(smoothed, 0.5).toFixed(2),
      ...[share(copy), share(inGraph), share(whole - copy - inGraph)],
      String(gpuMiB() - before),
      ...(limit ? [limit.graph.toFixed(2), (limit.graph / median).toFixed(2)] : ['', '']),
    ]);
    stream.close();
    await graph.release();
    await smoother.release();
  } catch (error) {
    row([name, `${width}x${height}`, provider, (error as Error).message.split('\n')[0]!.slice(0, 120)]);
  } finally {
    await device.release();
  }
}

/** What holds memory and can be read here: in MiB. */
function memories(): [name: string, read: () => number][] {
  const all: [string, () => number][] = [
    ['process', () => residentMiB(process.pid)],
    ['GPU', gpuMiB],
  ];
  return all.filter(([, read]) => Number.isFinite(read()));
}

/** No growth over many frames, nor over many sessions created and released. */
async function memoryPart(provider: Provider, files: ModelFiles): Promise<void> {
  console.log(`\n## Memory: ${files.manifest.name} on ${provider}\n`);
  const [width, height] = [640, 360];
  const device = await openDevice(provider, { threads: 8, device: 0 });
  const smootherFiles = await readModel(values.models, 'smoother');
  const count = Number(values.soak);
  {
    const graph = await RestorerGraph.open(files, device);
    const smoother = await SmootherGraph.open(smootherFiles, device);
    const stream = new Stream(width, height, graph.length);
    const held = memories().map(([name, read]) => ({ name, read, series: [] as [number, number][] }));
    for (let i = 1; i <= count; i++) {
      await stream.next(graph, smoother);
      if (i % Math.ceil(count / 20) !== 0) continue;
      for (const { read, series } of held) series.push([i / 1000, read()]);
    }
    // The first tenth fills pools.
    const settled = (series: [number, number][]) => series.slice(2);
    const said = held.map(
      ({ name, series }) =>
        `${name} ${series[2]![1].toFixed(0)} MiB after ${series[2]![0]} thousand, ${series.at(-1)![1].toFixed(0)} at the end (${slope(settled(series)).slope.toFixed(2)} MiB a thousand)`,
    );
    console.log(`- ${count} frames of ${width}x${height}: ${said.join('; ')}`);
    stream.close();
    await graph.release();
    await smoother.release();
  }
  const cycles = Number(values.cycles);
  const held = memories().map(([name, read]) => ({ name, read, series: [] as number[] }));
  for (let i = 0; i < cycles; i++) {
    const graph = await RestorerGraph.open(files, device);
    const smoother = await SmootherGraph.open(smootherFiles, device);
    const stream = new Stream(320, 180, graph.length);
    for (let frame = 0; frame < 4; frame++) await stream.next(graph, smoother);
    stream.close();
    await graph.release();
    await smoother.release();
    if (i === Math.floor(cycles / 10) || i === cycles - 1)
      for (const { read, series } of held) series.push(read());
  }
  const said = held.map(
    ({ name, series }) => `${name} ${series.map((mib) => mib.toFixed(0)).join(' -> ')} MiB`,
  );
  console.log(
    `- ${cycles} sessions created, used and released: ${said.join(', ')} (after a tenth of them -> at the end)`,
  );
  await device.release();
}

console.log(`${new Date().toISOString().slice(0, 10)}; ${gpuName()}; ${describeHost()}`);
const providers = await workingProviders();
const models = await chosenModels();
console.log(
  `providers: ${providers.join(', ')}; models: ${models.map(({ manifest }) => manifest.name).join(', ')}`,
);
if (wants('frames')) await framesPart(providers, models);
const options = { models: values.models, seconds: Number(values.seconds), sizes: SIZES, widthOf, table, row };
const names = models.map(({ manifest }) => manifest.name);
const lanes = values.lanes?.split(',').map(Number) ?? [undefined];
if (wants('streams')) await streamsPart(providers, names, lanes, options);
const best = providers[0]!;
if (wants('memory')) for (const files of models) await memoryPart(best, files);
if (wants('live'))
  await livePart(best, {
    ...options,
    streams: values.streams.split(',').map(Number),
    model: values.model === 'none' ? 'none' : names.at(-1)!,
    decode: values.decode,
  });
if (wants('gpus')) await gpusPart(best, names, options);
