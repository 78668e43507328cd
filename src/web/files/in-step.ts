import { h } from '../core/dom.ts';
import { nearest } from './frame-times.ts';
import type { Pair, Side } from './pair-picture.ts';

const SIDES: readonly Side[] = ['source', 'restored'];
/** Pictures of each side kept until the other side has the same frame. */
const KEPT = 6;
const EMPTY = Number.NEGATIVE_INFINITY;
const TICK_MS = 200;
/** Seconds apart from which the source is moved rather than hurried. */
const FAR = 0.3;
/** How long both may play without one common frame. */
const PATIENCE_MS = 3_000;

export interface InStepHandlers {
  /** Frame `n` of both is there. The pictures stay as they are until the next call. */
  pair(pair: Pair, n: number): void;
  ended(): void;
  /** The browser allows no sound without another press. */
  muted(): void;
  /** This browser cannot play the two, for a reason in words. */
  failed(why: string): void;
}

interface Slot {
  n: number;
  canvas: HTMLCanvasElement;
}

/**
 * Plays the original and the restored file together. Both run freely, close to each other; only frames that both have
 * shown, the same by number, are given out, so what is compared is always one frame.
 */
export class InStep {
  /** Must be in the document, so that frames keep coming. */
  readonly element: HTMLElement;
  readonly #urls: Record<Side, string>;
  readonly #times: readonly number[];
  readonly #handlers: InStepHandlers;
  readonly #videos: Record<Side, HTMLVideoElement>;
  /** What the browser calls the start of each file, s. */
  readonly #starts: Record<Side, number> = { source: 0, restored: 0 };
  readonly #slots: Record<Side, Slot[]> = { source: [], restored: [] };
  #ready: Promise<void> | undefined;
  #tick = 0;
  #playing = false;
  /** Counts calls of play: what an earlier one still waits for is void. */
  #turn = 0;
  #last = -1;
  #lastAt = 0;

  static get possible(): boolean {
    return 'requestVideoFrameCallback' in HTMLVideoElement.prototype;
  }

  constructor(urls: Record<Side, string>, times: readonly number[], handlers: InStepHandlers) {
    this.#urls = urls;
    this.#times = times;
    this.#handlers = handlers;
    const video = (): HTMLVideoElement => h('video', { playsinline: true, preload: 'auto' });
    this.#videos = { source: video(), restored: video() };
    this.#videos.source.muted = true;
    this.#videos.restored.addEventListener('ended', () => {
      if (this.#playing) handlers.ended();
    });
    this.element = h('div', { class: 'videos', 'aria-hidden': 'true' }, ...Object.values(this.#videos));
  }

  set muted(muted: boolean) {
    this.#videos.restored.muted = muted;
  }

  /** Plays from frame `n` on. */
  async play(n: number): Promise<void> {
    this.#playing = true;
    const turn = ++this.#turn;
    const over = (): boolean => turn !== this.#turn || !this.#playing;
    try {
      this.#ready ??= this.#open();
      await this.#ready;
      if (over()) return;
      this.#last = n - 1;
      for (const side of SIDES) for (const slot of this.#slots[side]) slot.n = EMPTY;
      await Promise.all(SIDES.map((side) => seek(this.#videos[side], this.#starts[side] + this.#inside(n))));
      if (over()) return;
      for (const side of SIDES) this.#follow(side, turn);
      await this.#start();
    } catch (error) {
      if (!over()) this.#fail(error instanceof Error ? error.message : String(error));
      return;
    }
    if (over()) return;
    this.#lastAt = performance.now();
    clearInterval(this.#tick);
    this.#tick = window.setInterval(() => this.#keepTogether(), TICK_MS);
  }

  pause(): void {
    this.#playing = false;
    this.#halt();
  }

  close(): void {
    this.pause();
    for (const video of Object.values(this.#videos)) {
      video.removeAttribute('src');
      video.load();
    }
  }

  async #start(): Promise<void> {
    const { source, restored } = this.#videos;
    const playing = restored.play().catch((error: unknown) => {
      if (!(error instanceof DOMException) || error.name !== 'NotAllowedError' || restored.muted) throw error;
      // Some browsers forget the press of the button while the files open.
      restored.muted = true;
      this.#handlers.muted();
      return restored.play();
    });
    await Promise.all([source.play(), playing]);
  }

  #halt(): void {
    clearInterval(this.#tick);
    for (const video of Object.values(this.#videos)) video.pause();
  }

  #fail(why: string): void {
    this.pause();
    this.#handlers.failed(why);
  }

  /** A moment in the middle of frame `n`, which a seek cannot round away. */
  #inside(n: number): number {
    const at = this.#times[n] ?? 0;
    return (at + (this.#times[n + 1] ?? at + 0.02)) / 2;
  }

  async #open(): Promise<void> {
    await Promise.all(
      SIDES.map(
        (side) =>
          new Promise<void>((resolve, reject) => {
            const video = this.#videos[side];
            const which = side === 'source' ? 'original' : 'result';
            video.onerror = () => reject(new Error(`This browser does not play the ${which}.`));
            video.onloadeddata = () => {
              // Sound alone, of a codec whose pictures are unknown here.
              if (video.videoWidth === 0) reject(new Error(`This browser shows no picture of the ${which}.`));
            };
            // Files may start late; browsers count from their own beginning.
            video.requestVideoFrameCallback((_now, { mediaTime }) => {
              this.#starts[side] = timeShown(video, mediaTime) - (this.#times[0] ?? 0);
              resolve();
            });
            video.src = this.#urls[side];
          }),
      ),
    );
    for (const side of SIDES) {
      this.#videos[side].onerror = () => this.#playing && this.#fail('The video broke off.');
    }
  }

  #follow(side: Side, turn: number): void {
    const video = this.#videos[side];
    video.requestVideoFrameCallback((_now, { mediaTime }) => {
      if (!this.#playing || turn !== this.#turn) return;
      this.#follow(side, turn);
      this.#keep(side, mediaTime);
    });
  }

  #keep(side: Side, mediaTime: number): void {
    const slots = this.#slots[side];
    const video = this.#videos[side];
    const time = timeShown(video, mediaTime);
    const n = nearest(this.#times, time - this.#starts[side]);
    if (n <= this.#last) return;
    let slot: Slot | undefined;
    if (slots.length < KEPT) {
      slot = { n: EMPTY, canvas: document.createElement('canvas') };
      slots.push(slot);
    } else {
      // The oldest, but never what is shown.
      for (const candidate of slots) {
        if (candidate.n !== this.#last && (slot === undefined || candidate.n < slot.n)) slot = candidate;
      }
    }
    if (slot === undefined) return;
    const { canvas } = slot;
    if (canvas.width !== video.videoWidth || canvas.height !== video.videoHeight) {
      canvas.width = video.videoWidth;
      canvas.height = video.videoHeight;
    }
    canvas.getContext('2d', { alpha: false })?.drawImage(video, 0, 0);
    // The video went on while it was drawn: nobody knows which frame that was.
    slot.n = timeShown(video, mediaTime) === time ? n : EMPTY;
    if (slot.n === EMPTY) return;
    const other = this.#slots[side === 'source' ? 'restored' : 'source'].find((kept) => kept.n === n);
    if (other === undefined) return;
    this.#last = n;
    this.#lastAt = performance.now();
    const [source, restored] = side === 'source' ? [canvas, other.canvas] : [other.canvas, canvas];
    this.#handlers.pair({ source, restored }, n);
  }

  #keepTogether(): void {
    const { source, restored } = this.#videos;
    // Sound may go on after the last picture.
    if (this.#last >= this.#times.length - 1 || source.ended) {
      this.#handlers.ended();
      return;
    }
    const stuck = SIDES.some((side) => this.#videos[side].readyState < HTMLMediaElement.HAVE_FUTURE_DATA);
    if (stuck || document.hidden) this.#lastAt = performance.now();
    // Who waits for data is waited for.
    for (const video of [source, restored]) {
      const waits = video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
      if (stuck && !waits) video.pause();
      else if (!stuck && video.paused && !video.ended) void video.play().catch(() => undefined);
    }
    const apart = this.#starts.restored - this.#starts.source;
    const lag = restored.currentTime - source.currentTime - apart;
    if (Math.abs(lag) > FAR && !source.seeking) source.currentTime += lag;
    else source.playbackRate = Math.min(1.25, Math.max(0.75, 1 + lag * 2));
    if (performance.now() - this.#lastAt > PATIENCE_MS) {
      this.#fail('Original and result could not be kept together here.');
    }
  }
}

/**
 * Time of the frame that a video shows at this moment, s. A callback for frames may come so late that the video shows
 * the next one already, whose time only the picture itself tells; `mediaTime` is what the callback said.
 */
function timeShown(video: HTMLVideoElement, mediaTime: number): number {
  try {
    const frame = new VideoFrame(video);
    const { timestamp } = frame;
    frame.close();
    return timestamp / 1e6;
  } catch {
    // Browsers without WebCodecs.
    return mediaTime;
  }
}

function seek(video: HTMLVideoElement, to: number): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener('seeked', () => resolve(), { once: true });
    video.addEventListener('error', () => reject(new Error('The video broke off.')), { once: true });
    video.currentTime = to;
  });
}
