import { copyToHost, type DeviceTensor, type HostTensor } from './device/device.ts';
import { type DeviceState, type RestorerGraph, releaseState, type SmootherGraph } from './graph.ts';
import type { PackedWindows } from './packed-windows.ts';
import { aligned, commonMultiple, pictureBytes, resizeCanvas } from './picture.ts';
import { SceneCutDetector } from './scene-cut.ts';

/** How one frame is to be treated. */
export interface FrameRequest {
  width: number;
  height: number;
  strength: number;
  smoothing: number;
  /** False = the frame goes out as it came, but later frames still see it. */
  restore: boolean;
  /** True = the timeline broke before this frame: nothing of the past may show. */
  fresh: boolean;
}

export interface FrameTimings {
  /** ms in the restorer graph, with its picture's way to the device. */
  restore: number;
  /** ms in the smoother graph, with its picture's way back. */
  smooth: number;
  /** Whether a scene cut was seen. */
  cut: boolean;
}

interface Slot {
  /** The picture as it came, the caller's buffer. */
  buffer: ArrayBuffer;
  /** The same padded to the model's alignment; the buffer itself when no padding is needed. */
  padded: Uint8Array;
  /** The padded picture on the device, once a window needed it there. */
  uploaded?: DeviceTensor;
}

/**
 * One stream's windows: the ring of frames, the state tensors and the last smoothed picture. Lives in the inference
 * thread. Each frame goes to the model's device once; what the next frame needs stays there. Frame buffers are the
 * caller's: they come in with a frame and go back through `recycled` once no window needs them.
 */
export class Restoration {
  private cuts = new SceneCutDetector();
  private graph: RestorerGraph | undefined;
  private ring: Slot[] = [];
  /** How many of the ring's newest frames have not come out yet: a new model must not show one again. */
  private unfinished = 0;
  private state: DeviceState = {};
  private smoothed: DeviceTensor | undefined;
  /** Where a padded result is cropped from. */
  private finished = new Uint8Array(0);
  private width = 0;
  private height = 0;
  /** Size the window is padded to. */
  private paddedWidth = 0;
  private paddedHeight = 0;

  /**
   * Takes the next frame and writes the finished picture of the window's centre frame into `out`.
   * @returns undefined while a model with lookahead waits for its first newer frame
   */
  async next(
    buffer: ArrayBuffer,
    request: FrameRequest,
    graph: RestorerGraph | undefined,
    smoother: SmootherGraph | undefined,
    out: Uint8Array,
    recycled: ArrayBuffer[],
  ): Promise<FrameTimings | undefined> {
    const alignment = commonMultiple(graph?.manifest.alignment ?? 2, smoother?.manifest.alignment ?? 2);
    this.fit(request.width, request.height, alignment, recycled);
    const cut = this.cuts.next(new Uint8Array(buffer), request.width, request.height) || request.fresh;
    if (graph !== this.graph) this.leaveGraph(graph);
    if (cut) this.restart(recycled);
    this.graph = graph;
    this.push(buffer, graph?.length ?? 1, recycled);
    const future = graph?.manifest.window.future ?? 0;
    if (++this.unfinished <= future) return undefined;
    this.unfinished = future;
    const centre = this.ring[this.ring.length - 1 - future]!;
    const timings: FrameTimings = { restore: 0, smooth: 0, cut };
    if (!graph || !request.restore || request.strength === 0) {
      out.set(new Uint8Array(centre.buffer));
      // A later blend must not bring back a picture from before the frames that were not restored.
      this.keepSmoothed(undefined);
      return timings;
    }
    const began = performance.now();
    const window = await this.window(graph);
    const before = this.state;
    if (graph.manifest.state.length > 0 && Object.keys(before).length === 0)
      Object.assign(before, await graph.freshDeviceState(this.paddedWidth, this.paddedHeight));
    const { restored, state } = await graph.restore(
      window,
      this.paddedWidth,
      this.paddedHeight,
      request.strength,
      before,
    );
    this.state = state;
    releaseState(before);
    const between = performance.now();
    const smooths = smoother !== undefined && request.smoothing > 0;
    const picture = smooths ? await this.smooth(smoother, restored, request.smoothing) : restored;
    // The device may still be at work: waiting for the result is its last stage's time.
    const target = this.isPadded ? this.finished : out;
    await graph.device.download(picture, target);
    const done = performance.now();
    this.keepSmoothed(smooths ? picture : undefined);
    if (picture !== restored || !smooths) restored.release();
    if (this.isPadded)
      resizeCanvas(this.finished, this.paddedWidth, this.paddedHeight, out, this.width, this.height);
    timings.restore = (smooths ? between : done) - began;
    timings.smooth = smooths ? done - between : 0;
    return timings;
  }

  /** Frames taken in whose pictures have not come out yet: those a lookahead still waits with. */
  get pending(): number {
    return this.unfinished;
  }

  /** A copy of the window's centre frame as it came from the camera. */
  copySource(out: Uint8Array): void {
    const slot = this.ring[this.ring.length - 1 - (this.graph?.manifest.window.future ?? 0)];
    if (slot) out.set(new Uint8Array(slot.buffer));
  }

  /** Forgets everything and gives the buffers back. */
  clear(recycled: ArrayBuffer[]): void {
    this.restart(recycled);
    this.cuts.reset();
  }

  /** Everything it holds, for another thread to go on with; it is as new then. */
  async pack(): Promise<PackedWindows> {
    const { graph, width, height, paddedWidth, paddedHeight, unfinished, smoothed } = this;
    const state: Record<string, HostTensor> = {};
    try {
      for (const [name, tensor] of Object.entries(this.state))
        state[name] = await copyToHost(graph!.device, tensor);
      return {
        model: graph?.manifest.name ?? 'none',
        ...{ width, height, paddedWidth, paddedHeight, unfinished, state },
        pictures: this.ring.map(({ buffer }) => buffer),
        smoothed: smoothed && (await copyToHost(graph!.device, smoothed)),
        scene: this.cuts.scene,
      };
    } finally {
      this.clear([]);
    }
  }

  /** Goes on with what was packed. Where this graph, or its device, cannot, it begins anew. */
  static async unpack(packed: PackedWindows, graph: RestorerGraph | undefined): Promise<Restoration> {
    const restoration = new Restoration();
    try {
      await restoration.takeOver(packed, graph);
    } catch {
      restoration.clear([]);
    }
    return restoration;
  }

  private async takeOver(packed: PackedWindows, graph: RestorerGraph | undefined): Promise<void> {
    const { state, smoothed } = packed;
    const fits = Object.values(state).every(({ type }) => type === graph?.stateType);
    if (packed.model !== (graph?.manifest.name ?? 'none') || !fits) return;
    this.graph = graph;
    this.resize(packed.width, packed.height, packed.paddedWidth, packed.paddedHeight);
    this.ring = packed.pictures.map((buffer) => this.slot(buffer));
    this.unfinished = packed.unfinished;
    this.cuts = new SceneCutDetector(packed.scene);
    const upload = ({ data, type, dims }: HostTensor) => graph!.device.upload(data, type, dims);
    for (const [name, tensor] of Object.entries(state)) this.state[name] = await upload(tensor);
    this.smoothed = smoothed && (await upload(smoothed));
  }

  private get isPadded(): boolean {
    return this.paddedWidth !== this.width || this.paddedHeight !== this.height;
  }

  private async smooth(
    smoother: SmootherGraph,
    restored: DeviceTensor,
    strength: number,
  ): Promise<DeviceTensor> {
    try {
      return await smoother.smooth(restored, this.smoothed ?? restored, strength, !this.smoothed);
    } catch (error) {
      restored.release();
      throw error;
    }
  }

  private keepSmoothed(picture: DeviceTensor | undefined): void {
    this.smoothed?.release();
    this.smoothed = picture;
  }

  /** Frames of the window, oldest first; a scene younger than the window repeats its oldest frame. */
  private async window(graph: RestorerGraph): Promise<DeviceTensor[]> {
    const frames: DeviceTensor[] = [];
    for (const slot of this.ring) {
      slot.uploaded ??= await graph.upload(slot.padded, this.paddedWidth, this.paddedHeight);
      frames.push(slot.uploaded);
    }
    while (frames.length < graph.length) frames.unshift(frames[0]!);
    return frames;
  }

  private slot(buffer: ArrayBuffer): Slot {
    const picture = new Uint8Array(buffer);
    if (!this.isPadded) return { buffer, padded: picture };
    const padded = new Uint8Array(pictureBytes(this.paddedWidth, this.paddedHeight));
    resizeCanvas(picture, this.width, this.height, padded, this.paddedWidth, this.paddedHeight);
    return { buffer, padded };
  }

  private push(buffer: ArrayBuffer, length: number, recycled: ArrayBuffer[]): void {
    this.ring.push(this.slot(buffer));
    while (this.ring.length > length) this.giveBack(this.ring.shift()!, recycled);
  }

  private giveBack(slot: Slot, recycled: ArrayBuffer[]): void {
    slot.uploaded?.release();
    recycled.push(slot.buffer);
  }

  private restart(recycled: ArrayBuffer[]): void {
    for (const slot of this.ring.splice(0)) this.giveBack(slot, recycled);
    this.unfinished = 0;
    this.forgetState();
    this.keepSmoothed(undefined);
  }

  private forgetState(): void {
    releaseState(this.state);
    this.state = {};
  }

  /** Another model has another state, and on another device another window and another smoothed picture. */
  private leaveGraph(next: RestorerGraph | undefined): void {
    this.forgetState();
    if (this.graph === undefined || next?.device === this.graph.device) return;
    this.keepSmoothed(undefined);
    for (const slot of this.ring) {
      slot.uploaded?.release();
      delete slot.uploaded;
    }
  }

  private fit(width: number, height: number, alignment: number, recycled: ArrayBuffer[]): void {
    const paddedWidth = aligned(width, alignment);
    const paddedHeight = aligned(height, alignment);
    if (
      width === this.width &&
      height === this.height &&
      paddedWidth === this.paddedWidth &&
      paddedHeight === this.paddedHeight
    ) {
      return;
    }
    this.restart(recycled);
    this.resize(width, height, paddedWidth, paddedHeight);
  }

  private resize(width: number, height: number, paddedWidth: number, paddedHeight: number): void {
    this.width = width;
    this.height = height;
    this.paddedWidth = paddedWidth;
    this.paddedHeight = paddedHeight;
    this.finished = new Uint8Array(this.isPadded ? pictureBytes(paddedWidth, paddedHeight) : 0);
  }
}
