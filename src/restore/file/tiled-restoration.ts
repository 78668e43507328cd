import { Tensor } from 'onnxruntime-node';
import type { RestorerGraph, SmootherGraph } from '../graph.ts';
import { aligned, commonMultiple, pictureBytes, resizeCanvas } from '../picture.ts';
import { copyArea, copyPictureArea, cropPicture } from './crop.ts';
import { reachOf } from './reach.ts';
import { type Area, type TilePlan, withHalo } from './tiles.ts';

type State = Record<string, Tensor>;

interface Slot {
  buffer: ArrayBuffer;
  padded: Uint8Array;
}

/**
 * One file's windows, in the inference thread. Pictures, states and the smoothed picture before are kept whole and
 * each tile sees its own part of them with a halo around: a tile comes out as it would from the whole picture, and
 * the cut into tiles may change from one picture to the next, or for a tile that failed, without a trace.
 *
 * Memory, beside the networks' own for one tile: for lite about 25 bytes a sample of luma (windows 3, result and
 * smoothed 4.5, states 16), 50 MB at 1080p, 210 MB at 4K, 830 MB at 8K.
 */
export class TiledRestoration {
  private readonly graph: RestorerGraph;
  private readonly smoother: SmootherGraph | undefined;
  private readonly width: number;
  private readonly height: number;
  private readonly whole: Area;
  private ring: Slot[] = [];
  /** State before this picture; empty at a scene's beginning. */
  private state: State = {};
  /** State after it, as far as its tiles are done. */
  private nextState: State = {};
  /** Whether the last picture was smoothed: what the next one is blended with. */
  private previous: Uint8Array | undefined;
  private result: Uint8Array<ArrayBuffer>;
  private spare: Uint8Array<ArrayBuffer>;
  private smoothed = false;

  constructor(graph: RestorerGraph, smoother: SmootherGraph | undefined, width: number, height: number) {
    this.graph = graph;
    this.smoother = smoother;
    this.width = width;
    this.height = height;
    this.whole = { x: 0, y: 0, width: aligned(width, this.grid), height: aligned(height, this.grid) };
    this.result = new Uint8Array(pictureBytes(this.whole.width, this.whole.height));
    this.spare = new Uint8Array(this.result.length);
  }

  /** What tiles of the next picture must respect. */
  async plan(): Promise<TilePlan> {
    const reach = (await reachOf(this.graph)) + (this.smoother ? await reachOf(this.smoother) : 0);
    const { width, height } = this.whole;
    return { width, height, grid: this.grid, halo: aligned(reach, this.grid) };
  }

  /** Takes the next picture, or repeats the newest. Buffers that no window needs any more go to `recycled`. */
  advance(picture: ArrayBuffer | undefined, fresh: boolean, recycled: ArrayBuffer[]): void {
    if (fresh) {
      recycled.push(...new Set(this.ring.splice(0).map(({ buffer }) => buffer)));
      this.state = {};
      this.previous = undefined;
    }
    const slot = picture ? this.slot(picture) : this.ring.at(-1);
    if (slot) this.ring.push(slot);
    while (this.ring.length > this.graph.length) {
      const gone = this.ring.shift()!;
      if (!this.ring.includes(gone)) recycled.push(gone.buffer);
    }
  }

  /** Restores one tile of the window's centre picture. Can be repeated, in parts too, when it fails. */
  async tile(area: Area, plan: TilePlan, strength: number, smoothing: number): Promise<void> {
    const { graph } = this;
    const seen = withHalo(area, plan);
    const isWhole = seen.width === this.whole.width && seen.height === this.whole.height;
    const crop = (picture: Uint8Array) => (isWhole ? picture : cropPicture(picture, this.whole, seen));
    const state = this.stateOf(graph, seen, isWhole);
    const restored = new Uint8Array(pictureBytes(seen.width, seen.height));
    const next = await graph.run(
      this.window(graph.length).map(crop),
      seen.width,
      seen.height,
      strength,
      state,
      restored,
    );
    let picture = restored;
    this.smoothed = this.smoother !== undefined && smoothing > 0;
    if (this.smoother && smoothing > 0) {
      picture = new Uint8Array(restored.length);
      const previous = this.previous ? crop(this.previous) : restored;
      const first = this.previous === undefined;
      await this.smoother.run(restored, previous, seen.width, seen.height, smoothing, first, picture);
    }
    copyPictureArea(picture, seen, this.result, this.whole, area);
    this.keepState(next, seen, area);
  }

  /** Gives the finished picture out; the next `advance` begins another. */
  collect(out: Uint8Array): void {
    resizeCanvas(this.result, this.whole.width, this.whole.height, out, this.width, this.height);
    [this.state, this.nextState] = [this.nextState, this.state];
    const { previous } = this;
    this.previous = undefined;
    if (!this.smoothed) return;
    this.previous = this.result;
    this.result = this.spare;
    this.spare = (previous as Uint8Array<ArrayBuffer> | undefined) ?? new Uint8Array(this.result.length);
  }

  /** Tiles begin and end where both networks' pictures may, and so at whole cells of the states. */
  private get grid(): number {
    return commonMultiple(this.graph.manifest.alignment, this.smoother?.manifest.alignment ?? 2);
  }

  private slot(buffer: ArrayBuffer): Slot {
    const picture = new Uint8Array(buffer);
    const { width, height } = this.whole;
    if (width === this.width && height === this.height) return { buffer, padded: picture };
    const padded = new Uint8Array(pictureBytes(width, height));
    resizeCanvas(picture, this.width, this.height, padded, width, height);
    return { buffer, padded };
  }

  /** Pictures of the window, oldest first; a scene younger than the window repeats its oldest. */
  private window(length: number): Uint8Array[] {
    const pictures = this.ring.map(({ padded }) => padded);
    while (pictures.length < length) pictures.unshift(pictures[0]!);
    return pictures;
  }

  private stateOf(graph: RestorerGraph, seen: Area, isWhole: boolean): State {
    if (Object.keys(this.state).length === 0) return graph.freshState(seen.width, seen.height);
    if (isWhole) return this.state;
    const out: State = {};
    for (const { input, channels, divisor } of graph.manifest.state) {
      const whole = this.state[input]!;
      const part = blank(whole, [1, channels, seen.height / divisor, seen.width / divisor]);
      copyState(whole, this.whole, part, seen, seen, channels, divisor);
      out[input] = part;
    }
    return out;
  }

  private keepState(next: State, seen: Area, area: Area): void {
    if (area.width === this.whole.width && area.height === this.whole.height) {
      this.nextState = next;
      return;
    }
    for (const { input, channels, divisor } of this.graph.manifest.state) {
      const part = next[input]!;
      const dims = [1, channels, this.whole.height / divisor, this.whole.width / divisor];
      // The tensor of two pictures ago is written over, unless it is the very one that is read.
      const reusable = this.nextState[input];
      if (!reusable || reusable === this.state[input]) this.nextState[input] = blank(part, dims);
      copyState(part, seen, this.nextState[input]!, this.whole, area, channels, divisor);
    }
  }
}

/** A tensor of another shape, zeroed, of the type of `like`. */
function blank(like: Tensor, dims: readonly number[]): Tensor {
  const length = dims.reduce((a, b) => a * b);
  const data = like.type === 'float16' ? new Float16Array(length) : new Float32Array(length);
  return new Tensor(like.type as 'float32', data as Float32Array, dims);
}

/** Copies `area` of every channel of a state that covers `from` into one that covers `to`. */
function copyState(
  source: Tensor,
  from: Area,
  target: Tensor,
  to: Area,
  area: Area,
  channels: number,
  divisor: number,
): void {
  const place = (shows: Area, channel: number) => ({
    at: (channel * shows.width * shows.height) / divisor / divisor,
    stride: shows.width / divisor,
    x: (area.x - shows.x) / divisor,
    y: (area.y - shows.y) / divisor,
  });
  for (let channel = 0; channel < channels; channel++) {
    copyArea(
      source.data as Float32Array,
      place(from, channel),
      target.data as Float32Array,
      place(to, channel),
      area.width / divisor,
      area.height / divisor,
    );
  }
}
