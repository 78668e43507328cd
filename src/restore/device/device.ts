/** Providers of ONNX Runtime, as the configuration names them. */
export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'tensorrt';

export type ElementType = 'uint8' | 'float16' | 'float32';
/** Elements in host memory; half precision as its bits. */
export type Elements = Uint8Array | Uint16Array | Float16Array | Float32Array;
export type Dims = readonly number[];

export const ELEMENT_BYTES: Record<ElementType, number> = { uint8: 1, float16: 2, float32: 4 };

/** A tensor where its device keeps it, until it is released. */
export interface DeviceTensor {
  readonly type: ElementType;
  readonly dims: Dims;
  /** Gives its memory back, once; a run that was begun before may still read it. */
  release(): void;
}

/** A tensor in host memory. */
export interface HostTensor {
  type: ElementType;
  dims: Dims;
  data: Elements;
}

/** An input or output of a graph. */
export interface Port {
  name: string;
  type: string;
  /** A number, or the name of a dimension that is free; empty where there is none. */
  dims: readonly (number | string)[];
}

/** An ONNX graph opened on a device. */
export interface Executor {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /**
   * Runs the graph on tensors of its device. The outputs asked for stay there and are the caller's.
   * @param outputs type and dimensions of each; none may be left out
   */
  run(
    inputs: Record<string, DeviceTensor>,
    outputs: Record<string, { type: ElementType; dims: Dims }>,
  ): Promise<Record<string, DeviceTensor>>;
  release(): Promise<void>;
}

/** One accelerator through one provider. Its calls must not overlap. */
export interface Device {
  readonly provider: Provider;
  /** Whether a graph in half precision is the faster one here. */
  readonly half: boolean;
  /** Throws what the provider says of a graph that it cannot open. */
  open(graph: Uint8Array): Promise<Executor>;
  /** Host memory -> device. The memory must stay as it is until the tensor is released: a CPU reads it in place. */
  upload(data: Elements, type: ElementType, dims: Dims): Promise<DeviceTensor>;
  /** Device -> host memory; waits for the runs before it. */
  download(tensor: DeviceTensor, into: Elements): Promise<void>;
  release(): Promise<void>;
}

/** Sizes of the free dimensions, by their names, that inputs have in a run. */
export function freeDims(
  ports: readonly Port[],
  inputs: Record<string, DeviceTensor>,
): Record<string, number> {
  const sizes: Record<string, number> = {};
  for (const { name, dims } of ports) {
    dims.forEach((dim, at) => {
      if (typeof dim === 'string' && dim !== '') sizes[dim] = inputs[name]!.dims[at]!;
    });
  }
  return sizes;
}

/** Sizes for which a graph is kept open on a GPU; each has kernels and memory of its own. */
const SIZES_KEPT = 8;

/**
 * A graph opened anew for each size it is run at: with fixed sizes nothing of it is computed on the CPU, and a GPU's
 * provider can choose kernels and plan its memory. The least recently used size is closed.
 */
export class BySize<T> {
  private readonly opened = new Map<string, T>();
  private readonly close: (opened: T) => Promise<void>;

  constructor(close: (opened: T) => Promise<void>) {
    this.close = close;
  }

  async get(sizes: Record<string, number>, open: () => Promise<T>): Promise<T> {
    const key = JSON.stringify(sizes);
    const found = this.opened.get(key) ?? (await open());
    this.opened.delete(key);
    this.opened.set(key, found);
    if (this.opened.size > SIZES_KEPT) {
      const [oldest, gone] = this.opened.entries().next().value!;
      this.opened.delete(oldest);
      await this.close(gone);
    }
    return found;
  }

  async release(): Promise<void> {
    for (const opened of this.opened.values()) await this.close(opened);
    this.opened.clear();
  }
}

/** A tensor's copy in host memory. */
export async function copyToHost(device: Device, tensor: DeviceTensor): Promise<HostTensor> {
  const { type, dims } = tensor;
  const array = { uint8: Uint8Array, float16: Float16Array, float32: Float32Array }[type];
  const data = new array(elements(dims));
  await device.download(tensor, data);
  return { type, dims, data };
}

export function elements(dims: Dims): number {
  return dims.reduce((a, b) => a * b, 1);
}
