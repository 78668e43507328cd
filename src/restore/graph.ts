import { InferenceSession, Tensor } from 'onnxruntime-node';
import { type Manifest, type ModelFiles, type RestorerManifest, refused } from './manifest.ts';
import { aligned, pictureBytes } from './picture.ts';

export type Provider = 'cpu' | 'webgpu' | 'cuda' | 'tensorrt';

export interface GraphOptions {
  provider: Provider;
  /** CPU threads of one run. */
  threads: number;
}

type State = Record<string, Tensor>;

/** Side of the picture a graph is tried on; a multiple of every sensible alignment. */
const PROBE_SIDE = 256;
/** A second size, since cameras have many: a graph made for one size alone shows itself. */
const SECOND_PROBE = { width: 320, height: 192 };

/**
 * An ONNX graph opened on a provider, checked against the model contract. `run` blocks its thread
 * (onnxruntime-node 1.30), so graphs live in the inference thread; runs on one accelerator must not overlap.
 */
abstract class Graph<M extends Manifest> {
  readonly manifest: M;
  protected readonly session: InferenceSession;

  protected constructor(manifest: M, session: InferenceSession) {
    this.manifest = manifest;
    this.session = session;
  }

  async release(): Promise<void> {
    await this.session.release();
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

async function open({ manifest, graph }: ModelFiles, options: GraphOptions): Promise<InferenceSession> {
  try {
    return await InferenceSession.create(graph, {
      executionProviders: [options.provider],
      intraOpNumThreads: options.threads,
      graphOptimizationLevel: 'all',
      logSeverityLevel: 3,
      // Waiting threads sleep: a spinning one would take the core from the decoder and the encoder.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
    });
  } catch (cause) {
    throw refused(manifest.name, `${options.provider} cannot open it (${(cause as Error).message})`, cause);
  }
}

/** Checks that the graph has exactly the named inputs or outputs, of the right types. */
function checkPorts(
  model: string,
  side: 'input' | 'output',
  found: readonly InferenceSession.ValueMetadata[],
  expected: Record<string, Tensor.Type>,
): void {
  for (const [name, type] of Object.entries(expected)) {
    const port = found.find((value) => value.name === name);
    if (!port?.isTensor) throw refused(model, `the graph has no ${side} ${name}`);
    if (port.type !== type)
      throw refused(model, `${side} ${name} is ${port.type}, the contract says ${type}`);
  }
  for (const { name } of found) {
    if (!(name in expected))
      throw refused(model, `the graph has an ${side} ${name} that the contract does not know`);
  }
}

function picture(data: Uint8Array, width: number, height: number): Tensor {
  return new Tensor('uint8', data, [1, 1, (height * 3) / 2, width]);
}

function scalar(value: number): Tensor {
  return new Tensor('float32', new Float32Array([value]), [1]);
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
  /** Opens and checks a restorer. Throws CLEARWAY_MODEL_INVALID with what is wrong. */
  static async open(files: ModelFiles, options: GraphOptions): Promise<RestorerGraph> {
    const { manifest } = files;
    if (manifest.kind !== 'restorer')
      throw refused(manifest.name, `it is a ${manifest.kind}, not a restorer`);
    if (manifest.scale !== 1)
      throw refused(manifest.name, 'scale 2 is not published live yet; use a model of scale 1');
    const graph = new RestorerGraph(manifest, await open(files, options));
    const inputs: Record<string, Tensor.Type> = { strength: 'float32' };
    for (let i = 0; i < graph.length; i++) inputs[`frame_${i}`] = 'uint8';
    const outputs: Record<string, Tensor.Type> = { restored: 'uint8' };
    for (const state of manifest.state) {
      inputs[state.input] = 'float32';
      outputs[state.output] = 'float32';
    }
    try {
      checkPorts(manifest.name, 'input', graph.session.inputMetadata, inputs);
      checkPorts(manifest.name, 'output', graph.session.outputMetadata, outputs);
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

  /** The state tensors a new scene starts with. */
  freshState(width: number, height: number): State {
    return Object.fromEntries(
      this.manifest.state.map(({ input, channels, divisor }) => {
        const dims = [1, channels, height / divisor, width / divisor];
        return [input, new Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b)), dims)];
      }),
    );
  }

  /**
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
    const feeds: Record<string, Tensor> = { ...state, strength: scalar(strength) };
    window.forEach((data, i) => {
      feeds[`frame_${i}`] = picture(data, width, height);
    });
    const fetches: Record<string, Tensor | null> = { restored: picture(out, width, height) };
    for (const { output } of this.manifest.state) fetches[output] = null;
    const results = await this.session.run(feeds, fetches);
    return Object.fromEntries(
      this.manifest.state.map(({ input, output }) => [input, results[output] as Tensor]),
    );
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
  static async open(files: ModelFiles, options: GraphOptions): Promise<SmootherGraph> {
    const { manifest } = files;
    if (manifest.kind !== 'smoother')
      throw refused(manifest.name, `it is a ${manifest.kind}, not a smoother`);
    const graph = new SmootherGraph(manifest, await open(files, options));
    try {
      checkPorts(manifest.name, 'input', graph.session.inputMetadata, {
        restored: 'uint8',
        previous: 'uint8',
        strength: 'float32',
        reset: 'float32',
      });
      checkPorts(manifest.name, 'output', graph.session.outputMetadata, { smoothed: 'uint8' });
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

  async run(
    restored: Uint8Array,
    previous: Uint8Array,
    width: number,
    height: number,
    strength: number,
    reset: boolean,
    out: Uint8Array,
  ): Promise<void> {
    await this.session.run(
      {
        restored: picture(restored, width, height),
        previous: picture(previous, width, height),
        strength: scalar(strength),
        reset: scalar(reset ? 1 : 0),
      },
      { smoothed: picture(out, width, height) },
    );
  }
}
