import { InferenceSession } from 'onnxruntime-node';
import type { DeviceRuntime, HostMemory, Pointer } from './cuda-runtime.ts';
import {
  type Device,
  type DeviceTensor,
  type Dims,
  ELEMENT_BYTES,
  type Elements,
  type ElementType,
  type Executor,
  elements,
  type Port,
  type Provider,
} from './device.ts';
import { ELEMENT, type OrtApi } from './ort-api.ts';

/** Bytes of released tensors kept for the next; beyond it the oldest are given back to the device. */
const SPARE_BYTES = 256 << 20;
/** Sizes of one graph whose runs are kept as CUDA graphs; those beyond run node by node. */
const CAPTURED_SIZES = 16;

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
    if (at === -1) return this.alloc(bytes);
    this.kept -= bytes;
    return this.spare.splice(at, 1)[0]!.memory;
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

/** A graph's inputs and outputs at one size, at fixed places: what a CUDA graph reads and writes. */
interface Binding {
  io: Pointer;
  runOptions: Pointer;
  slots: Map<string, { at: Pointer; bytes: number; value: Pointer }>;
}

export interface NativeDeviceOptions {
  provider: Provider;
  half: boolean;
  runtime: DeviceRuntime;
  api: OrtApi;
  /** Adds the provider to the options of a session; `record` = its runs are to be recorded and replayed. */
  append(options: Pointer, record: boolean): void;
}

/**
 * A device through ONNX Runtime's C API: pictures and states live in its memory, a run reads and writes fixed places
 * (copies within the device take microseconds), so that the provider can record it once and replay it.
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
    // The ports, without a dozen more functions of the C API.
    const session = await InferenceSession.create(graph, {
      executionProviders: ['cpu'],
      graphOptimizationLevel: 'disabled',
      logSeverityLevel: 3,
    });
    const { inputMetadata, outputMetadata } = session;
    await session.release();
    return new NativeExecutor(
      this,
      this.options,
      this.env,
      graph,
      portsOf(inputMetadata),
      portsOf(outputMetadata),
    );
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
  private readonly api: OrtApi;
  private readonly runtime: DeviceRuntime;
  private readonly session: Pointer;
  private readonly memoryInfo: Pointer;
  private readonly bindings = new Map<string, Binding>();
  /** Keeps the bytes alive: the session reads its weights from them. */
  private readonly graph: Uint8Array;

  constructor(
    device: NativeDevice,
    options: NativeDeviceOptions,
    env: Pointer,
    graph: Uint8Array,
    inputs: readonly Port[],
    outputs: readonly Port[],
  ) {
    const { api, runtime } = options;
    this.device = device;
    this.api = api;
    this.runtime = runtime;
    this.graph = graph;
    this.inputs = inputs;
    this.outputs = outputs;
    try {
      this.session = this.create(options, env, true);
    } catch {
      // A graph of which a node runs on the CPU cannot be recorded.
      this.session = this.create(options, env, false);
    }
    const { name, device: number } = runtime.memory;
    // OrtDeviceAllocator, OrtMemTypeDefault
    this.memoryInfo = api.make('createMemoryInfo', name, 0, number, 0);
  }

  async run(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Promise<Record<string, DeviceTensor>> {
    const binding = this.bindingFor(inputs, outputs);
    for (const [name, tensor] of Object.entries(inputs)) {
      const slot = binding.slots.get(name)!;
      const { at, bytes } = tensor as NativeTensor;
      this.runtime.copy(slot.at, at, bytes);
    }
    this.api.do('runWithBinding', this.session, binding.runOptions, binding.io);
    const results: Record<string, DeviceTensor> = {};
    for (const [name, { type, dims }] of Object.entries(outputs)) {
      const tensor = this.device.tensor(type, dims);
      this.runtime.copy(tensor.at, binding.slots.get(name)!.at, tensor.bytes);
      results[name] = tensor;
    }
    return results;
  }

  async release(): Promise<void> {
    this.runtime.synchronize();
    for (const { io, runOptions, slots } of this.bindings.values()) {
      this.api.release('releaseIoBinding', io);
      this.api.release('releaseRunOptions', runOptions);
      for (const { at, value } of slots.values()) {
        this.api.release('releaseValue', value);
        this.runtime.free(at);
      }
    }
    this.bindings.clear();
    this.api.release('releaseSession', this.session);
    this.api.release('releaseMemoryInfo', this.memoryInfo);
  }

  private create({ append }: NativeDeviceOptions, env: Pointer, record: boolean): Pointer {
    const { api, graph } = this;
    const options = api.make('createSessionOptions');
    try {
      api.do('setSessionLogSeverityLevel', options, 3);
      append(options, record);
      return api.make('createSessionFromArray', env, graph, graph.byteLength, options);
    } finally {
      api.release('releaseSessionOptions', options);
    }
  }

  private bindingFor(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Binding {
    const key = Object.values(inputs)
      .map(({ dims }) => dims.join('x'))
      .join(' ');
    const present = this.bindings.get(key);
    if (present) return present;
    const { api } = this;
    const io = api.make('createIoBinding', this.session);
    const runOptions = api.make('createRunOptions');
    // -1 = not recorded: a recorded size holds device memory for as long as the session lives.
    const number = this.bindings.size < CAPTURED_SIZES ? this.bindings.size + 1 : -1;
    api.do('addRunConfigEntry', runOptions, 'gpu_graph_id', String(number));
    // Copies follow on the same queue: only a download waits.
    api.do('addRunConfigEntry', runOptions, 'disable_synchronize_execution_providers', '1');
    const slots: Binding['slots'] = new Map();
    const bind = (how: 'bindInput' | 'bindOutput', name: string, type: ElementType, dims: Dims) => {
      const bytes = bytesOf(type, dims);
      const at = this.runtime.alloc(bytes);
      const shape = BigInt64Array.from(dims, BigInt);
      const args = [this.memoryInfo, at, bytes, shape, dims.length, ELEMENT[type]];
      const value = api.make('createTensorWithData', ...args);
      api.do(how, io, name, value);
      slots.set(name, { at, bytes, value });
    };
    for (const [name, { type, dims }] of Object.entries(inputs)) bind('bindInput', name, type, dims);
    for (const [name, { type, dims }] of Object.entries(outputs)) bind('bindOutput', name, type, dims);
    const binding = { io, runOptions, slots };
    this.bindings.set(key, binding);
    return binding;
  }
}

function portsOf(metadata: readonly InferenceSession.ValueMetadata[]): Port[] {
  return metadata.map((value) => ({ name: value.name, type: value.isTensor ? value.type : 'no tensor' }));
}

function bytesIn(data: Elements): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
