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

/** An input or output of a graph. */
export interface Port {
  name: string;
  type: string;
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

export function elements(dims: Dims): number {
  return dims.reduce((a, b) => a * b, 1);
}
