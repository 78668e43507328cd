import { InferenceSession, Tensor } from 'onnxruntime-node';
import {
  type Device,
  type DeviceTensor,
  type Dims,
  type Elements,
  type ElementType,
  type Executor,
  elements,
  type Port,
  type Provider,
} from './device.ts';

/** Unused output buffers kept for the next run; more would be of sizes that nobody asks for any more. */
const SPARE_BUFFERS = 16;

/** `y = x` for a tensor of four dimensions (opset 17), as a serialised ModelProto; bytes 35 and 68 are its type. */
const IDENTITY =
  'CAg6VwoQCgF4EgF5IghJZGVudGl0eRIBZ1ofCgF4EhoKGAgCEhQKAxIBYQoDEgFiCgMSAWMKAxIBZGIfCgF5EhoKGAgCEhQKAxIBYQoDEgFiCgMSAWMKAxIBZEIECgAQEQ==';
/** TensorProto.DataType of onnx.proto. */
const ONNX_TYPE: Record<ElementType, number> = { uint8: 2, float16: 10, float32: 1 };

function identity(type: ElementType): Uint8Array {
  const model = Buffer.from(IDENTITY, 'base64');
  model[35] = ONNX_TYPE[type];
  model[68] = ONNX_TYPE[type];
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

abstract class NodeExecutor implements Executor {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  protected readonly session: InferenceSession;

  constructor(session: InferenceSession) {
    this.session = session;
    this.inputs = ports(session.inputMetadata);
    this.outputs = ports(session.outputMetadata);
  }

  abstract run(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Promise<Record<string, DeviceTensor>>;

  async release(): Promise<void> {
    await this.session.release();
  }
}

function ports(metadata: readonly InferenceSession.ValueMetadata[]): Port[] {
  return metadata.map((value) => ({ name: value.name, type: value.isTensor ? value.type : 'no tensor' }));
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
    const device = this;
    return new (class extends NodeExecutor {
      async run(
        inputs: Record<string, DeviceTensor>,
        outputs: Record<string, { type: ElementType; dims: Dims }>,
      ): Promise<Record<string, DeviceTensor>> {
        const results: Record<string, NodeTensor> = {};
        for (const [name, { type, dims }] of Object.entries(outputs)) results[name] = device.take(type, dims);
        try {
          await this.session.run(feedsOf(inputs), feedsOf(results));
        } catch (error) {
          for (const tensor of Object.values(results)) tensor.release();
          throw error;
        }
        return results;
      }
    })(await InferenceSession.create(graph, sessionOptions(this.options)));
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

  constructor(to: Tensor.DataLocation) {
    this.to = to;
  }

  async copy(x: Tensor): Promise<Tensor> {
    const type = x.type as ElementType;
    let session = this.sessions.get(type);
    if (!session) {
      session = await InferenceSession.create(identity(type), webGpuOptions(this.to));
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
  private readonly uploads = new Copier('gpu-buffer');
  private readonly downloads = new Copier('cpu');

  async open(graph: Uint8Array): Promise<Executor> {
    return new (class extends NodeExecutor {
      async run(inputs: Record<string, DeviceTensor>): Promise<Record<string, DeviceTensor>> {
        const results = await this.session.run(feedsOf(inputs));
        return Object.fromEntries(
          Object.entries(results).map(([name, tensor]) => [
            name,
            new NodeTensor(tensor, () => tensor.dispose()),
          ]),
        );
      }
    })(await InferenceSession.create(graph, webGpuOptions('gpu-buffer')));
  }

  async upload(data: Elements, type: ElementType, dims: Dims): Promise<DeviceTensor> {
    const host = new Tensor(type as 'uint8', data as Uint8Array, dims);
    // A scalar goes along with every run that reads it.
    if (dims.length !== 4) return new NodeTensor(host);
    const copy = await this.uploads.copy(host);
    return new NodeTensor(copy, () => copy.dispose());
  }

  async download(tensor: DeviceTensor, into: Elements): Promise<void> {
    into.set((await this.downloads.copy(tensorOf(tensor))).data as Uint8Array);
  }

  async release(): Promise<void> {
    await this.uploads.release();
    await this.downloads.release();
  }
}
