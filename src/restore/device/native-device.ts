import type { DeviceRuntime, HostMemory, Pointer } from './cuda-runtime.ts';
import {
  BySize,
  type Device,
  type DeviceTensor,
  type Dims,
  ELEMENT_BYTES,
  type Elements,
  type ElementType,
  type Executor,
  elements,
  freeDims,
  type Port,
  type Provider,
} from './device.ts';
import { ELEMENT, type OrtApi } from './ort-api.ts';

/** Bytes of released tensors kept for the next; beyond it the oldest are given back to the device. */
const SPARE_BYTES = 256 << 20;

/** Memory of one kind, given out again after it was given back. */
class Pool<T> {
  private readonly spare: { bytes: number; memory: T }[] = [];
  private kept = 0;
  private readonly alloc: (bytes: number) => T;
  private readonly free: (memory: T) => void;

  constructor(alloc: (bytes: number) => T, free: (memory: T) => void) {
    this.alloc = alloc;
    this.free = free;
  }

  take(bytes: number): T {
    const at = this.spare.findLastIndex((candidate) => candidate.bytes === bytes);
    if (at === -1) return this.allocate(bytes);
    this.kept -= bytes;
    return this.spare.splice(at, 1)[0]!.memory;
  }

  private allocate(bytes: number): T {
    try {
      return this.alloc(bytes);
    } catch (error) {
      if (this.spare.length === 0) throw error;
      this.close();
      return this.alloc(bytes);
    }
  }

  give(bytes: number, memory: T): void {
    this.spare.push({ bytes, memory });
    this.kept += bytes;
    while (this.kept > SPARE_BYTES) {
      const oldest = this.spare.shift()!;
      this.kept -= oldest.bytes;
      this.free(oldest.memory);
    }
  }

  close(): void {
    for (const { memory } of this.spare.splice(0)) this.free(memory);
    this.kept = 0;
  }
}

class NativeTensor implements DeviceTensor {
  readonly type: ElementType;
  readonly dims: Dims;
  readonly at: Pointer;
  private giveBack: ((bytes: number, at: Pointer) => void) | undefined;

  constructor(type: ElementType, dims: Dims, at: Pointer, giveBack: (bytes: number, at: Pointer) => void) {
    this.type = type;
    this.dims = dims;
    this.at = at;
    this.giveBack = giveBack;
  }

  get bytes(): number {
    return bytesOf(this.type, this.dims);
  }

  release(): void {
    this.giveBack?.(this.bytes, this.at);
    this.giveBack = undefined;
  }
}

function bytesOf(type: ElementType, dims: Dims): number {
  return elements(dims) * ELEMENT_BYTES[type];
}

/** A graph opened for one size, its inputs and outputs at fixed places. */
interface Fixed {
  session: Pointer;
  io: Pointer;
  slots: Map<string, { at: Pointer; value: Pointer }>;
}

export interface NativeDeviceOptions {
  provider: Provider;
  half: boolean;
  runtime: DeviceRuntime;
  api: OrtApi;
  /** Adds the provider to the options of a session. */
  append(options: Pointer): void;
}

/**
 * A device through ONNX Runtime's C API: pictures and states live in its memory, and a run reads and writes fixed
 * places (copies within the device take microseconds). Runs are not recorded as CUDA graphs, which 1.30 can only do
 * with some graphs and ends the process with others: at 1080p that gains nothing (test/bench/RESULTS-GPU.md).
 */
export class NativeDevice implements Device {
  readonly provider: Provider;
  readonly half: boolean;
  private readonly options: NativeDeviceOptions;
  private readonly env: Pointer;
  private readonly pool: Pool<Pointer>;
  private readonly staging: Pool<HostMemory>;
  /** Staging that copies still read. */
  private inFlight: { bytes: number; memory: HostMemory }[] = [];

  constructor(options: NativeDeviceOptions) {
    const { runtime, api } = options;
    this.provider = options.provider;
    this.half = options.half;
    this.options = options;
    this.env = api.make('createEnv', 3, 'clearway');
    this.pool = new Pool(
      (bytes) => runtime.alloc(bytes),
      (at) => runtime.free(at),
    );
    this.staging = new Pool(
      (bytes) => runtime.allocHost(bytes),
      (memory) => runtime.freeHost(memory),
    );
  }

  async open(graph: Uint8Array): Promise<Executor> {
    return new NativeExecutor(this, this.options, this.env, graph);
  }

  async upload(data: Elements, type: ElementType, dims: Dims): Promise<DeviceTensor> {
    const tensor = this.tensor(type, dims);
    const memory = this.staging.take(tensor.bytes);
    memory.view.set(bytesIn(data));
    this.options.runtime.upload(tensor.at, memory.at, tensor.bytes);
    this.inFlight.push({ bytes: tensor.bytes, memory });
    return tensor;
  }

  async download(tensor: DeviceTensor, into: Elements): Promise<void> {
    const { at, bytes } = tensor as NativeTensor;
    const memory = this.staging.take(bytes);
    this.options.runtime.download(memory.at, at, bytes);
    this.options.runtime.synchronize();
    for (const done of this.inFlight.splice(0)) this.staging.give(done.bytes, done.memory);
    bytesIn(into).set(memory.view);
    this.staging.give(bytes, memory);
  }

  async release(): Promise<void> {
    this.options.runtime.synchronize();
    for (const done of this.inFlight.splice(0)) this.staging.give(done.bytes, done.memory);
    this.pool.close();
    this.staging.close();
    this.options.api.release('releaseEnv', this.env);
    this.options.runtime.close();
  }

  tensor(type: ElementType, dims: Dims): NativeTensor {
    const at = this.pool.take(bytesOf(type, dims));
    return new NativeTensor(type, dims, at, (bytes, place) => this.pool.give(bytes, place));
  }
}

class NativeExecutor implements Executor {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  private readonly device: NativeDevice;
  private readonly options: NativeDeviceOptions;
  private readonly env: Pointer;
  private readonly memoryInfo: Pointer;
  private readonly runOptions: Pointer;
  /** Kept, since every size is opened from it. */
  private readonly graph: Uint8Array;
  private readonly fixed: BySize<Fixed>;

  constructor(device: NativeDevice, options: NativeDeviceOptions, env: Pointer, graph: Uint8Array) {
    this.device = device;
    this.options = options;
    this.env = env;
    this.graph = graph;
    const { api, runtime } = options;
    const session = this.create({});
    this.inputs = api.ports(session, 'Input');
    this.outputs = api.ports(session, 'Output');
    api.release('releaseSession', session);
    const { name, device: number } = runtime.memory;
    // OrtDeviceAllocator, OrtMemTypeDefault
    this.memoryInfo = api.make('createMemoryInfo', name, 0, number, 0);
    this.runOptions = api.make('createRunOptions');
    this.fixed = new BySize(async (fixed) => this.close(fixed));
  }

  async run(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Promise<Record<string, DeviceTensor>> {
    const { api, runtime } = this.options;
    const sizes = freeDims(this.inputs, inputs);
    const fixed = await this.fixed.get(sizes, async () => this.fix(sizes, inputs, outputs));
    for (const [name, tensor] of Object.entries(inputs)) {
      const { at, bytes } = tensor as NativeTensor;
      runtime.copy(fixed.slots.get(name)!.at, at, bytes);
    }
    api.do('runWithBinding', fixed.session, this.runOptions, fixed.io);
    const results: Record<string, DeviceTensor> = {};
    try {
      for (const [name, { type, dims }] of Object.entries(outputs)) {
        const tensor = this.device.tensor(type, dims);
        results[name] = tensor;
        runtime.copy(tensor.at, fixed.slots.get(name)!.at, tensor.bytes);
      }
    } catch (error) {
      for (const tensor of Object.values(results)) tensor.release();
      throw error;
    }
    return results;
  }

  async release(): Promise<void> {
    const { api } = this.options;
    await this.fixed.release();
    api.release('releaseRunOptions', this.runOptions);
    api.release('releaseMemoryInfo', this.memoryInfo);
  }

  private create(sizes: Record<string, number>): Pointer {
    const { api, append } = this.options;
    const options = api.make('createSessionOptions');
    try {
      api.do('setSessionLogSeverityLevel', options, 4);
      // The device computes; otherwise every size of every model keeps a thread for every core.
      api.do('setIntraOpNumThreads', options, 1);
      for (const [name, size] of Object.entries(sizes))
        api.do('addFreeDimensionOverrideByName', options, name, size);
      append(options);
      return api.make('createSessionFromArray', this.env, this.graph, this.graph.byteLength, options);
    } finally {
      api.release('releaseSessionOptions', options);
    }
  }

  /** Opens the graph for one size. What it took is given back when that fails, for want of memory say. */
  private fix(
    sizes: Record<string, number>,
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Fixed {
    const { api } = this.options;
    const session = this.create(sizes);
    const fixed: Fixed = { session, io: api.make('createIoBinding', session), slots: new Map() };
    try {
      this.bind(fixed, inputs, outputs);
    } catch (error) {
      this.close(fixed);
      throw error;
    }
    return fixed;
  }

  private bind(
    fixed: Fixed,
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): void {
    const { api, runtime } = this.options;
    const bind = (how: 'bindInput' | 'bindOutput', name: string, type: ElementType, dims: Dims) => {
      const bytes = bytesOf(type, dims);
      const at = runtime.alloc(bytes);
      const shape = BigInt64Array.from(dims, BigInt);
      const args = [this.memoryInfo, at, bytes, shape, dims.length, ELEMENT[type]];
      const value = api.make('createTensorWithData', ...args);
      fixed.slots.set(name, { at, value });
      api.do(how, fixed.io, name, value);
    };
    for (const [name, { type, dims }] of Object.entries(inputs)) bind('bindInput', name, type, dims);
    for (const [name, { type, dims }] of Object.entries(outputs)) bind('bindOutput', name, type, dims);
  }

  private close({ session, io, slots }: Fixed): void {
    const { api, runtime } = this.options;
    runtime.synchronize();
    api.release('releaseIoBinding', io);
    for (const { at, value } of slots.values()) {
      api.release('releaseValue', value);
      runtime.free(at);
    }
    api.release('releaseSession', session);
  }
}

function bytesIn(data: Elements): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
