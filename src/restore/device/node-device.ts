import './no-telemetry.ts';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  BySize,
  type Device,
  type DeviceTensor,
  type Dims,
  type Elements,
  type ElementType,
  type Executor,
  elements,
  freeDims,
  type Port,
  type Provider,
} from './device.ts';

/** Unused output buffers kept for the next run; more would be of sizes that nobody asks for any more. */
const SPARE_BUFFERS = 16;

/** `y = x` for a tensor of four dimensions (opset 17), as a serialised ModelProto; bytes 35 and 68 are its type. */
const IDENTITY =
  'CAg6VwoQCgF4EgF5IghJZGVudGl0eRIBZ1ofCgF4EhoKGAgCEhQKAxIBYQoDEgFiCgMSAWMKAxIBZGIfCgF5EhoKGAgCEhQKAxIBYQoDEgFiCgMSAWMKAxIBZEIECgAQEQ==';
/** The same with a cast: float32 -> float16, and back. */
const TO_HALF =
  'CAg6XgoXCgF4EgF5IgRDYXN0KgkKAnRvGAqgAQISAWdaHwoBeBIaChgIARIUCgMSAWEKAxIBYgoDEgFjCgMSAWRiHwoBeRIaChgIChIUCgMSAWEKAxIBYgoDEgFjCgMSAWRCBAoAEBE=';
const FROM_HALF =
  'CAg6XgoXCgF4EgF5IgRDYXN0KgkKAnRvGAGgAQISAWdaHwoBeBIaChgIChIUCgMSAWEKAxIBYgoDEgFjCgMSAWRiHwoBeRIaChgIARIUCgMSAWEKAxIBYgoDEgFjCgMSAWRCBAoAEBE=';

/** A graph that moves tensors of a type. Half precision crosses as single: the binding cannot read Float16Array. */
function mover(type: ElementType, half: string): Uint8Array {
  if (type === 'float16') return Buffer.from(half, 'base64');
  const model = Buffer.from(IDENTITY, 'base64');
  // TensorProto.DataType of onnx.proto
  model[35] = model[68] = type === 'uint8' ? 2 : 1;
  return model;
}

class NodeTensor implements DeviceTensor {
  readonly tensor: Tensor;
  private readonly onRelease: (() => void) | undefined;
  private released = false;

  constructor(tensor: Tensor, onRelease?: () => void) {
    this.tensor = tensor;
    this.onRelease = onRelease;
  }

  get type(): ElementType {
    return this.tensor.type as ElementType;
  }

  get dims(): Dims {
    return this.tensor.dims;
  }

  release(): void {
    if (this.released) return;
    this.released = true;
    this.onRelease?.();
  }
}

function tensorOf(tensor: DeviceTensor): Tensor {
  return (tensor as NodeTensor).tensor;
}

export interface NodeDeviceOptions {
  provider: Provider;
  /** CPU threads of one run. */
  threads: number;
}

function sessionOptions({ provider, threads }: NodeDeviceOptions): InferenceSession.SessionOptions {
  return {
    executionProviders: [provider],
    intraOpNumThreads: threads,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
    // Waiting threads sleep: a spinning one would take the core from the decoder and the encoder.
    extra: { session: { intra_op: { allow_spinning: '0' } } },
  };
}

function ports(metadata: readonly InferenceSession.ValueMetadata[]): Port[] {
  return metadata.map((value) =>
    value.isTensor
      ? { name: value.name, type: value.type, dims: value.shape }
      : { name: value.name, type: 'no tensor', dims: [] },
  );
}

function feedsOf(inputs: Record<string, DeviceTensor>): Record<string, Tensor> {
  return Object.fromEntries(Object.entries(inputs).map(([name, tensor]) => [name, tensorOf(tensor)]));
}

/** The CPU: tensors are host memory, uploaded by reference, and outputs are written into buffers used again. */
export class CpuDevice implements Device {
  readonly provider = 'cpu';
  readonly half = false;
  private readonly options: NodeDeviceOptions;
  private readonly spare: Elements[] = [];

  constructor(threads: number) {
    this.options = { provider: 'cpu', threads };
  }

  async open(graph: Uint8Array): Promise<Executor> {
    const session = await InferenceSession.create(graph, sessionOptions(this.options));
    return {
      inputs: ports(session.inputMetadata),
      outputs: ports(session.outputMetadata),
      run: async (inputs, outputs) => {
        const results: Record<string, NodeTensor> = {};
        for (const [name, { type, dims }] of Object.entries(outputs)) results[name] = this.take(type, dims);
        try {
          await session.run(feedsOf(inputs), feedsOf(results));
        } catch (error) {
          for (const tensor of Object.values(results)) tensor.release();
          throw error;
        }
        return results;
      },
      release: () => session.release(),
    };
  }

  async upload(data: Elements, type: ElementType, dims: Dims): Promise<DeviceTensor> {
    return new NodeTensor(new Tensor(type as 'uint8', data as Uint8Array, dims));
  }

  async download(tensor: DeviceTensor, into: Elements): Promise<void> {
    into.set(tensorOf(tensor).data as Uint8Array);
  }

  async release(): Promise<void> {
    this.spare.length = 0;
  }

  private take(type: ElementType, dims: Dims): NodeTensor {
    const length = elements(dims);
    const Kind = type === 'uint8' ? Uint8Array : type === 'float16' ? Float16Array : Float32Array;
    const at = this.spare.findLastIndex((data) => data instanceof Kind && data.length === length);
    const data = at === -1 ? new Kind(length) : this.spare.splice(at, 1)[0]!;
    return new NodeTensor(new Tensor(type as 'uint8', data as Uint8Array, dims), () => {
      this.spare.push(data);
      if (this.spare.length > SPARE_BUFFERS) this.spare.shift();
    });
  }
}

/** Graphs that copy, one a type of element, opened when first needed. */
class Copier {
  private readonly sessions = new Map<ElementType, InferenceSession>();
  private readonly to: Tensor.DataLocation;
  private readonly half: string;

  constructor(to: Tensor.DataLocation, half: string) {
    this.to = to;
    this.half = half;
  }

  async copy(x: Tensor, type: ElementType): Promise<Tensor> {
    let session = this.sessions.get(type);
    if (!session) {
      session = await InferenceSession.create(mover(type, this.half), webGpuOptions(this.to));
      this.sessions.set(type, session);
    }
    return (await session.run({ x })).y!;
  }

  async release(): Promise<void> {
    for (const session of this.sessions.values()) await session.release();
  }
}

function webGpuOptions(preferredOutputLocation: Tensor.DataLocation): InferenceSession.SessionOptions {
  return { ...sessionOptions({ provider: 'webgpu', threads: 1 }), preferredOutputLocation };
}

/**
 * A GPU through WebGPU (Dawn, on Vulkan). The binding places nothing but outputs on the device and cannot read them
 * (1.30 ends the process), so that graphs that copy move tensors there and back.
 */
export class WebGpuDevice implements Device {
  readonly provider = 'webgpu';
  readonly half = true;
  private readonly uploads = new Copier('gpu-buffer', TO_HALF);
  private readonly downloads = new Copier('cpu', FROM_HALF);

  async open(graph: Uint8Array): Promise<Executor> {
    const any = await InferenceSession.create(graph, webGpuOptions('gpu-buffer'));
    const [inputs, outputs] = [ports(any.inputMetadata), ports(any.outputMetadata)];
    await any.release();
    const sessions = new BySize<InferenceSession>((session) => session.release());
    return {
      inputs,
      outputs,
      async run(tensors) {
        const freeDimensionOverrides = freeDims(inputs, tensors);
        const session = await sessions.get(freeDimensionOverrides, () =>
          InferenceSession.create(graph, { ...webGpuOptions('gpu-buffer'), freeDimensionOverrides }),
        );
        const results = await session.run(feedsOf(tensors));
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [
            name,
            new NodeTensor(tensor, () => tensor.dispose()),
          ]),
        );
      },
      release: () => sessions.release(),
    };
  }

  async upload(data: Elements, type: ElementType, dims: Dims): Promise<DeviceTensor> {
    const single = type === 'float16';
    const host = new Tensor(
      (single ? 'float32' : type) as 'float32',
      (single ? Float32Array.from(data) : data) as Float32Array,
      dims,
    );
    // A scalar goes along with every run that reads it.
    if (dims.length !== 4) return new NodeTensor(host);
    const copy = await this.uploads.copy(host, type);
    return new NodeTensor(copy, () => copy.dispose());
  }

  async download(tensor: DeviceTensor, into: Elements): Promise<void> {
    const { data } = await this.downloads.copy(tensorOf(tensor), tensor.type);
    into.set(data as Uint8Array);
  }

  async release(): Promise<void> {
    await this.uploads.release();
    await this.downloads.release();
  }
}
