import { Tensor } from 'onnxruntime-node';
import {
  type Device,
  type DeviceTensor,
  type Elements,
  type ElementType,
  type Executor,
  elements,
  type Port,
} from './device/device.ts';
import { type Manifest, type ModelFiles, type RestorerManifest, refused } from './manifest.ts';
import { aligned, pictureBytes } from './picture.ts';

export type { Provider } from './device/device.ts';

/** State tensors in host memory, by the name of the input that takes them. */
type State = Record<string, Tensor>;
/** State tensors on the graph's device, likewise. */
export type DeviceState = Record<string, DeviceTensor>;

/** Side of the picture a graph is tried on; a multiple of every sensible alignment. */
const PROBE_SIDE = 256;
/** A second size, since cameras have many: a graph made for one size alone shows itself. */
const SECOND_PROBE = { width: 320, height: 192 };
/** Settings kept on the device; a slider that is dragged makes a new one with every step. */
const SCALARS = 8;

/**
 * An ONNX graph opened on a device, checked against the model contract. A run blocks its thread (onnxruntime-node
 * 1.30), so graphs live in an inference thread, and runs of one device must not overlap.
 */
abstract class Graph<M extends Manifest> {
  readonly manifest: M;
  readonly device: Device;
  protected readonly executor: Executor;
  private readonly scalars = new Map<number, DeviceTensor>();

  protected constructor(manifest: M, device: Device, executor: Executor) {
    this.manifest = manifest;
    this.device = device;
    this.executor = executor;
  }

  async release(): Promise<void> {
    for (const scalar of this.scalars.values()) scalar.release();
    this.scalars.clear();
    await this.executor.release();
  }

  /** A picture put on the device. Its memory must stay as it is until the tensor is released. */
  upload(picture: Uint8Array, width: number, height: number): Promise<DeviceTensor> {
    return this.device.upload(picture, 'uint8', pictureDims(width, height));
  }

  protected async scalar(value: number): Promise<DeviceTensor> {
    const present = this.scalars.get(value);
    if (present) return present;
    const scalar = await this.device.upload(new Float32Array([value]), 'float32', [1]);
    this.scalars.set(value, scalar);
    if (this.scalars.size > SCALARS) {
      const [oldest, tensor] = this.scalars.entries().next().value!;
      this.scalars.delete(oldest);
      tensor.release();
    }
    return scalar;
  }

  protected get secondProbe(): [width: number, height: number] {
    const { alignment } = this.manifest;
    return [aligned(SECOND_PROBE.width, alignment), aligned(SECOND_PROBE.height, alignment)];
  }

  /** Runs the graph once and refuses it when that fails. */
  protected async runs(width: number, height: number, run: () => Promise<unknown>): Promise<void> {
    try {
      await run();
    } catch (cause) {
      throw refused(
        this.manifest.name,
        `it does not run on a ${width}x${height} picture (${(cause as Error).message})`,
        cause,
      );
    }
  }
}

async function open(files: ModelFiles, device: Device): Promise<Executor> {
  const { manifest } = files;
  try {
    return await device.open(usesHalf(files, device) ? files.half! : files.graph);
  } catch (cause) {
    throw refused(manifest.name, `${device.provider} cannot open it (${(cause as Error).message})`, cause);
  }
}

function usesHalf({ half }: ModelFiles, device: Device): boolean {
  return device.half && half !== undefined;
}

/** Checks that the graph has exactly the named inputs or outputs, of the right types. */
function checkPorts(
  model: string,
  side: 'input' | 'output',
  found: readonly Port[],
  expected: Record<string, ElementType>,
): void {
  for (const [name, type] of Object.entries(expected)) {
    const port = found.find((value) => value.name === name);
    if (!port) throw refused(model, `the graph has no ${side} ${name}`);
    if (port.type !== type)
      throw refused(model, `${side} ${name} is ${port.type}, the contract says ${type}`);
  }
  for (const { name } of found) {
    if (!(name in expected))
      throw refused(model, `the graph has an ${side} ${name} that the contract does not know`);
  }
}

function pictureDims(width: number, height: number): number[] {
  return [1, 1, (height * 3) / 2, width];
}

function releaseAll(tensors: Iterable<DeviceTensor>): void {
  for (const tensor of tensors) tensor.release();
}

export function releaseState(state: DeviceState): void {
  releaseAll(Object.values(state));
}

/** A smooth picture with an edge: what every restorer must leave recognisable. */
function probePicture(side: number): Uint8Array {
  const data = new Uint8Array(pictureBytes(side, side)).fill(128);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) data[y * side + x] = 40 + ((x + y) >> 2) + (x > side / 2 ? 40 : 0);
  }
  return data;
}

/** Restores the frame `future` before the newest of a window. */
export class RestorerGraph extends Graph<RestorerManifest> {
  /** Element type of its state tensors. */
  readonly stateType: ElementType;

  private constructor(
    manifest: RestorerManifest,
    device: Device,
    executor: Executor,
    stateType: ElementType,
  ) {
    super(manifest, device, executor);
    this.stateType = stateType;
  }

  /** Opens and checks a restorer. Throws CLEARWAY_MODEL_INVALID with what is wrong. */
  static async open(files: ModelFiles, device: Device): Promise<RestorerGraph> {
    const { manifest } = files;
    if (manifest.kind !== 'restorer')
      throw refused(manifest.name, `it is a ${manifest.kind}, not a restorer`);
    if (manifest.scale !== 1)
      throw refused(manifest.name, 'scale 2 is not published live yet; use a model of scale 1');
    const executor = await open(files, device);
    const stateType = usesHalf(files, device) ? 'float16' : 'float32';
    const graph = new RestorerGraph(manifest, device, executor, stateType);
    const inputs: Record<string, ElementType> = { strength: 'float32' };
    for (let i = 0; i < graph.length; i++) inputs[`frame_${i}`] = 'uint8';
    const outputs: Record<string, ElementType> = { restored: 'uint8' };
    for (const state of manifest.state) {
      inputs[state.input] = stateType;
      outputs[state.output] = stateType;
    }
    try {
      checkPorts(manifest.name, 'input', executor.inputs, inputs);
      checkPorts(manifest.name, 'output', executor.outputs, outputs);
      await graph.prove();
    } catch (error) {
      await graph.release();
      throw error;
    }
    return graph;
  }

  /** Frames in a window. */
  get length(): number {
    return this.manifest.window.past + 1 + this.manifest.window.future;
  }

  /** The state tensors a new scene starts with, in host memory. */
  freshState(width: number, height: number): State {
    return Object.fromEntries(
      this.manifest.state.map(({ input, channels, divisor }) => {
        const dims = [1, channels, height / divisor, width / divisor];
        const length = elements(dims);
        const data = this.stateType === 'float16' ? new Float16Array(length) : new Float32Array(length);
        return [input, new Tensor(this.stateType as 'float32', data as Float32Array, dims)];
      }),
    );
  }

  /** The same on the device. */
  freshDeviceState(width: number, height: number): Promise<DeviceState> {
    return this.uploadState(this.freshState(width, height));
  }

  /**
   * Restores on the device. The results are the caller's to release; the inputs stay his.
   * @param window pictures of width x height (both multiples of the alignment), oldest first
   */
  async restore(
    window: DeviceTensor[],
    width: number,
    height: number,
    strength: number,
    state: DeviceState,
  ): Promise<{ restored: DeviceTensor; state: DeviceState }> {
    const inputs: Record<string, DeviceTensor> = { ...state, strength: await this.scalar(strength) };
    window.forEach((picture, i) => {
      inputs[`frame_${i}`] = picture;
    });
    const outputs: Record<string, { type: ElementType; dims: readonly number[] }> = {
      restored: { type: 'uint8', dims: pictureDims(width, height) },
    };
    for (const { input, output } of this.manifest.state)
      outputs[output] = { type: this.stateType, dims: state[input]!.dims };
    const results = await this.executor.run(inputs, outputs);
    const next = this.manifest.state.map(({ input, output }) => [input, results[output]!] as const);
    return { restored: results.restored!, state: Object.fromEntries(next) };
  }

  /**
   * Restores from host memory to host memory: each picture and the state cross the bus with every run.
   * @param window I420 pictures of width x height (both multiples of the alignment), oldest first
   * @param out where the restored picture goes, as large as one of the window
   * @returns the state for the next run
   */
  async run(
    window: Uint8Array[],
    width: number,
    height: number,
    strength: number,
    state: State,
    out: Uint8Array,
  ): Promise<State> {
    const used: DeviceTensor[] = [];
    try {
      for (const picture of window) used.push(await this.upload(picture, width, height));
      const before = await this.uploadState(state);
      const pictures = [...used];
      used.push(...Object.values(before));
      const results = await this.restore(pictures, width, height, strength, before);
      used.push(results.restored, ...Object.values(results.state));
      await this.device.download(results.restored, out);
      const next: State = this.freshState(width, height);
      for (const [name, tensor] of Object.entries(results.state))
        await this.device.download(tensor, next[name]!.data as Elements);
      return next;
    } finally {
      releaseAll(used);
    }
  }

  private async uploadState(state: State): Promise<DeviceState> {
    const uploaded: DeviceState = {};
    for (const [name, { data, dims }] of Object.entries(state))
      uploaded[name] = await this.device.upload(data as Elements, this.stateType, dims);
    return uploaded;
  }

  /** Runs the contract's promises once: strength 0 gives the input back, strength 1 a picture of the same thing. */
  private async prove(): Promise<void> {
    const side = aligned(PROBE_SIDE, this.manifest.alignment);
    const probe = probePicture(side);
    const window = new Array<Uint8Array>(this.length).fill(probe);
    const out = new Uint8Array(probe.length);
    const { name } = this.manifest;
    await this.runs(side, side, () => this.run(window, side, side, 0, this.freshState(side, side), out));
    if (!Buffer.from(out.buffer).equals(Buffer.from(probe.buffer))) {
      throw refused(name, 'at strength 0 it does not return its input (damaged or NaN weights do this)');
    }
    const state = await this.run(window, side, side, 1, this.freshState(side, side), out);
    let error = 0;
    for (let i = 0; i < side * side; i++) error += Math.abs(out[i]! - probe[i]!);
    if (error / (side * side) > 24) throw refused(name, 'it turns a smooth picture into something else');
    for (const tensor of Object.values(state)) {
      if (!(tensor.data as Float32Array).every(Number.isFinite))
        throw refused(name, 'its state tensors are not finite');
    }
    const [width, height] = this.secondProbe;
    const other = new Array<Uint8Array>(this.length).fill(new Uint8Array(pictureBytes(width, height)));
    const room = new Uint8Array(pictureBytes(width, height));
    await this.runs(width, height, () =>
      this.run(other, width, height, 1, this.freshState(width, height), room),
    );
  }
}

/** Blends each restored frame with the previous smoothed one, where nothing moves. */
export class SmootherGraph extends Graph<Manifest> {
  static async open(files: ModelFiles, device: Device): Promise<SmootherGraph> {
    const { manifest } = files;
    if (manifest.kind !== 'smoother')
      throw refused(manifest.name, `it is a ${manifest.kind}, not a smoother`);
    const executor = await open(files, device);
    const graph = new SmootherGraph(manifest, device, executor);
    try {
      checkPorts(manifest.name, 'input', executor.inputs, {
        restored: 'uint8',
        previous: 'uint8',
        strength: 'float32',
        reset: 'float32',
      });
      checkPorts(manifest.name, 'output', executor.outputs, { smoothed: 'uint8' });
      const [width, height] = graph.secondProbe;
      const picture = new Uint8Array(pictureBytes(width, height));
      await graph.runs(width, height, () =>
        graph.run(picture, picture, width, height, 0.5, false, new Uint8Array(picture.length)),
      );
    } catch (error) {
      await graph.release();
      throw error;
    }
    return graph;
  }

  /** Smooths on the device. The result is the caller's to release; the inputs stay his. */
  async smooth(
    restored: DeviceTensor,
    previous: DeviceTensor,
    strength: number,
    reset: boolean,
  ): Promise<DeviceTensor> {
    const inputs = {
      restored,
      previous,
      strength: await this.scalar(strength),
      reset: await this.scalar(reset ? 1 : 0),
    };
    const { smoothed } = await this.executor.run(inputs, {
      smoothed: { type: 'uint8', dims: restored.dims },
    });
    return smoothed!;
  }

  /** The same from host memory to host memory. */
  async run(
    restored: Uint8Array,
    previous: Uint8Array,
    width: number,
    height: number,
    strength: number,
    reset: boolean,
    out: Uint8Array,
  ): Promise<void> {
    const used: DeviceTensor[] = [];
    try {
      used.push(await this.upload(restored, width, height), await this.upload(previous, width, height));
      const smoothed = await this.smooth(used[0]!, used[1]!, strength, reset);
      used.push(smoothed);
      await this.device.download(smoothed, out);
    } finally {
      releaseAll(used);
    }
  }
}
