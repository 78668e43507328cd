import type { Tensor } from 'onnxruntime-node';
import type { RestorerGraph, SmootherGraph } from './graph.ts';
import { aligned, pictureBytes, resizeCanvas } from './picture.ts';
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
  /** ms in the restorer graph. */
  restore: number;
  /** ms in the smoother graph. */
  smooth: number;
  /** Whether a scene cut was seen. */
  cut: boolean;
}

interface Slot {
  /** The picture as it came, the caller's buffer. */
  buffer: ArrayBuffer;
  /** The same padded to the model's alignment; the buffer itself when no padding is needed. */
  padded: Uint8Array;
}

/**
 * One stream's windows: the ring of frames, the state tensors and the last smoothed picture. Lives in the inference
 * thread. Frame buffers are the caller's: they come in with a frame and go back through `recycled` once no window
 * needs them.
 */
export class Restoration {
  private readonly cuts = new SceneCutDetector();
  private graph: RestorerGraph | undefined;
  private ring: Slot[] = [];
  /** How many of the ring's newest frames have not come out yet: a new model must not show one again. */
  private unfinished = 0;
  private state: Record<string, Tensor> = {};
  private smoothed: Uint8Array<ArrayBuffer> | undefined;
  private restored = new Uint8Array(0);
  private smoothOut = new Uint8Array(0);
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
    const alignment = Math.max(graph?.manifest.alignment ?? 2, smoother?.manifest.alignment ?? 2);
    this.fit(request.width, request.height, alignment, recycled);
    const cut = this.cuts.next(new Uint8Array(buffer), request.width, request.height) || request.fresh;
    if (graph !== this.graph) this.state = {};
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
      this.smoothed = undefined;
      return timings;
    }
    const began = performance.now();
    const window = this.window(graph.length);
    if (graph.manifest.state.length > 0 && Object.keys(this.state).length === 0) {
      this.state = graph.freshState(this.paddedWidth, this.paddedHeight);
    }
    this.state = await graph.run(
      window,
      this.paddedWidth,
      this.paddedHeight,
      request.strength,
      this.state,
      this.restored,
    );
    timings.restore = performance.now() - began;
    const picture = await this.smooth(smoother, request.smoothing, timings);
    if (this.isPadded)
      resizeCanvas(picture, this.paddedWidth, this.paddedHeight, out, this.width, this.height);
    else out.set(picture);
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

  private get isPadded(): boolean {
    return this.paddedWidth !== this.width || this.paddedHeight !== this.height;
  }

  private async smooth(
    smoother: SmootherGraph | undefined,
    strength: number,
    timings: FrameTimings,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!smoother || strength === 0) {
      this.smoothed = undefined;
      return this.restored;
    }
    const began = performance.now();
    const previous = this.smoothed ?? this.restored;
    await smoother.run(
      this.restored,
      previous,
      this.paddedWidth,
      this.paddedHeight,
      strength,
      !this.smoothed,
      this.smoothOut,
    );
    timings.smooth = performance.now() - began;
    const spare = this.smoothed ?? new Uint8Array(this.smoothOut.length);
    this.smoothed = this.smoothOut;
    this.smoothOut = spare;
    return this.smoothed;
  }

  /** Frames of the window, oldest first; a scene younger than the window repeats its oldest frame. */
  private window(length: number): Uint8Array[] {
    const frames = this.ring.map((slot) => slot.padded);
    while (frames.length < length) frames.unshift(frames[0]!);
    return frames;
  }

  private push(buffer: ArrayBuffer, length: number, recycled: ArrayBuffer[]): void {
    const picture = new Uint8Array(buffer);
    let padded = picture;
    if (this.isPadded) {
      padded = new Uint8Array(pictureBytes(this.paddedWidth, this.paddedHeight));
      resizeCanvas(picture, this.width, this.height, padded, this.paddedWidth, this.paddedHeight);
    }
    this.ring.push({ buffer, padded });
    while (this.ring.length > length) recycled.push(this.ring.shift()!.buffer);
  }

  private restart(recycled: ArrayBuffer[]): void {
    for (const slot of this.ring.splice(0)) recycled.push(slot.buffer);
    this.unfinished = 0;
    this.state = {};
    this.smoothed = undefined;
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
    this.width = width;
    this.height = height;
    this.paddedWidth = paddedWidth;
    this.paddedHeight = paddedHeight;
    this.restored = new Uint8Array(pictureBytes(paddedWidth, paddedHeight));
    this.smoothOut = new Uint8Array(this.restored.length);
  }
}
