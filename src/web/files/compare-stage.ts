import type { JobStatus } from '../../contracts/jobs.ts';
import type { Rendition } from '../../contracts/media.ts';
import { ApiError } from '../core/api.ts';
import type { Context } from '../core/context.ts';
import { Divider } from '../core/divider.ts';
import { h, setText } from '../core/dom.ts';
import { sentence } from '../core/state.ts';
import { InStep } from './in-step.ts';
import { Loupe } from './loupe.ts';
import { PairPicture } from './pair-picture.ts';
import { Reel } from './reel.ts';
import { Transport } from './transport.ts';

/** A picture that comes sooner needs no word. */
const SLOW_MS = 400;
/** Frames fetched ahead while they are shown one by one. */
const AHEAD = 6;

/** The before/after picture of a finished job: still, frame by frame, or playing. */
export class CompareStage {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #job: JobStatus;
  readonly #times: readonly number[];
  readonly #reel: Reel;
  readonly #picture: PairPicture;
  readonly #inStep: InStep | undefined;
  readonly #surface: HTMLElement;
  readonly #divider: Divider;
  readonly #loupe: Loupe;
  readonly #transport: Transport;
  readonly #text = h('span');
  readonly #overlay = h(
    'div',
    { class: 'overlay', role: 'alert', hidden: true },
    h('b', {}, 'No picture'),
    this.#text,
    h('button', { class: 'button', type: 'button', onclick: () => this.retry() }, 'Try again'),
  );
  readonly #chip = h('span', { class: 'chip chip-player', title: '', hidden: true });
  /** The frame that is wanted; a still of it may be on its way. */
  #frame = 0;
  /** The frame whose still is drawn; -1 while something else is. */
  #still = -1;
  #fetching = false;
  #playing = false;
  /** Why the videos are not played themselves; undefined while they may be. */
  #frameByFrame: string | undefined;
  #failed = false;
  #closed = false;

  constructor(context: Context, job: JobStatus, times: readonly number[]) {
    this.#context = context;
    this.#job = job;
    this.#times = times;
    const { width, height } = job.result ?? job.input;
    const { sampleAspect = 1 } = job.input;
    this.#reel = new Reel(job.urls.frames, times.length, width * height);
    this.#picture = new PairPicture(width, height);
    this.#picture.canvas.setAttribute('role', 'img');
    this.#surface = h('div', { class: 'picture', 'data-shows': 'compare', 'data-empty': true });
    this.#divider = new Divider(this.#surface, {
      before: 'original',
      anywhere: () => this.#picture.zoom.scale === 1,
      moved: (position) => {
        this.#picture.position = position;
      },
    });
    this.#surface.append(
      this.#picture.canvas,
      h('span', { class: 'tag tag-source' }, 'original'),
      h('span', { class: 'tag tag-restored' }, 'restored'),
      this.#divider.element,
      this.#chip,
      this.#overlay,
    );
    this.#loupe = new Loupe(this.#surface, this.#picture, (scale) => this.#transport.showZoom(scale));
    this.#transport = new Transport({
      name: job.name,
      times,
      hasAudio: job.input.hasAudio,
      mode: (mode) => this.setMode(mode),
      play: () => this.toggle(),
      seek: (frame) => this.show(frame),
      zoom: () => this.#loupe.next(),
      muted: (muted) => {
        if (this.#inStep) this.#inStep.muted = muted;
      },
      fullscreen: () => this.element,
      still: () => this.#picture.canvas,
    });
    this.element = h(
      'section',
      { class: 'stage', 'aria-label': 'Picture' },
      this.#surface,
      this.#transport.element,
    );
    this.element.style.setProperty('--ratio', ((width * sampleAspect) / height).toFixed(4));
    if (InStep.possible) {
      this.#inStep = new InStep(
        { source: `${job.urls.video}?rendition=source`, restored: job.urls.video },
        times,
        {
          pair: (pair, n) => {
            this.#picture.pair = pair;
            this.#arrived(n);
          },
          ended: () => this.show(times.length - 1),
          muted: () => this.#transport.showMuted(true),
          failed: (why) => this.#playFrames(why),
        },
      );
      this.#surface.append(this.#inStep.element);
    } else this.#frameByFrame = 'This browser cannot tell frames of a video apart.';
    this.show(0);
  }

  setMode(mode: Rendition): void {
    this.#transport.showMode(mode);
    this.#picture.mode = mode;
    this.#surface.dataset.shows = mode;
    this.#divider.element.hidden = mode !== 'compare';
    this.#describe();
  }

  /** Shows one frame, still. */
  show(frame: number): void {
    this.#pause();
    this.#frame = Math.min(this.#times.length - 1, Math.max(0, frame));
    this.#transport.show(this.#frame);
    void this.#fetch();
  }

  toggle(): void {
    if (this.#playing) {
      this.show(this.#frame);
      return;
    }
    if (this.#times.length < 2) return;
    this.#playing = true;
    this.#still = -1;
    this.#transport.playing = true;
    // At the end it begins anew.
    if (this.#frame >= this.#times.length - 1) this.#frame = 0;
    if (this.#inStep && this.#frameByFrame === undefined) void this.#inStep.play(this.#frame);
    else this.#playFrames(this.#frameByFrame ?? '');
  }

  /** After a failure: asks for the frame once more. */
  retry(): void {
    if (this.#failed) void this.#fetch();
  }

  /** One of the stage's keys; false when it is not. */
  key(event: KeyboardEvent): boolean {
    const { key } = event;
    if (this.#loupe.key(event)) return true;
    const keys: Record<string, () => void> = {
      ' ': () => this.toggle(),
      k: () => this.toggle(),
      ',': () => this.show(this.#frame - 1),
      '.': () => this.show(this.#frame + 1),
      c: () => this.setMode('compare'),
      r: () => this.setMode('restored'),
      s: () => this.setMode('source'),
    };
    if (keys[key]) {
      keys[key]();
      return true;
    }
    if (this.#transport.key(key)) return true;
    return (key === 'ArrowLeft' || key === 'ArrowRight') && this.#divider.key(key);
  }

  close(): void {
    this.#closed = true;
    this.#playing = false;
    this.#inStep?.close();
    this.#reel.close();
    this.#picture.close();
    this.#transport.close();
  }

  #pause(): void {
    this.#playing = false;
    this.#inStep?.pause();
    this.#transport.playing = false;
  }

  /** Fetches the wanted frame, then the one that is wanted by then: what was skipped is not asked for. */
  async #fetch(): Promise<void> {
    if (this.#fetching) return;
    this.#fetching = true;
    const slow = window.setTimeout(() => this.#note('fetching'), SLOW_MS);
    while (!this.#playing && !this.#closed && this.#still !== this.#frame) {
      const frame = this.#frame;
      try {
        const pair = await this.#reel.pair(frame);
        if (this.#playing || this.#closed) break;
        this.#picture.pair = pair;
        this.#arrived(frame);
        // The neighbours, so that a step is there at once; first the one in the direction of the last step.
        const step = frame < this.#still ? -1 : 1;
        this.#still = frame;
        if (frame === this.#frame) {
          this.#reel.pair(frame, [frame + step, frame - step]).catch(() => undefined);
        }
      } catch (error) {
        // Given up for what plays; wanted again when it is paused meanwhile.
        if (!isAbort(error)) {
          this.#fail(error);
          break;
        }
      }
    }
    clearTimeout(slow);
    this.#note();
    this.#fetching = false;
  }

  /** A word in the picture's corner; without one, that it plays frame by frame, where it does. */
  #note(text = this.#frameByFrame === undefined ? '' : 'frame by frame'): void {
    setText(this.#chip, text);
    this.#chip.hidden = text === '';
    this.#chip.title =
      this.#frameByFrame === undefined
        ? ''
        : `${this.#frameByFrame} Every frame is fetched by itself, without sound.`;
  }

  /** Plays by single frames: as fast as they come, at most as fast as they should, and none left out. */
  async #playFrames(why: string): Promise<void> {
    this.#frameByFrame = why;
    this.#note();
    this.#transport.silent();
    if (!this.#playing) return;
    try {
      while (this.#playing && this.#frame < this.#times.length - 1) {
        const n = this.#frame + 1;
        const from = performance.now();
        const pair = await this.#reel.pair(
          n,
          Array.from({ length: AHEAD }, (_, index) => n + 1 + index),
        );
        const wait = ((this.#times[n] ?? 0) - (this.#times[n - 1] ?? 0)) * 1000 - (performance.now() - from);
        if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
        if (!this.#playing || this.#closed || this.#frame !== n - 1) return;
        this.#picture.pair = pair;
        this.#arrived(n);
      }
      if (this.#playing) this.#pause();
    } catch (error) {
      if (!this.#playing || isAbort(error)) return;
      this.#pause();
      this.#fail(error);
    }
  }

  /** A frame is seen; another may be wanted by now. */
  #arrived(frame: number): void {
    if (this.#playing) {
      this.#frame = frame;
      this.#transport.show(frame);
    }
    this.#failed = false;
    if (this.#surface.dataset.empty !== undefined) delete this.#surface.dataset.empty;
    this.#surface.dataset.frame = String(frame);
    this.#overlay.hidden = true;
    this.#surface.dataset.dimmed = 'false';
    this.#describe();
  }

  #fail(error: unknown): void {
    if (this.#closed) return;
    this.#failed = true;
    const message = error instanceof ApiError ? error.message : 'The frame cannot be shown.';
    if (error instanceof ApiError && error.status === 401) this.#context.recheckSession();
    setText(this.#text, sentence(message));
    this.#overlay.hidden = false;
    this.#surface.dataset.dimmed = 'true';
  }

  #describe(): void {
    const shows = { compare: 'Original and restored', source: 'Original', restored: 'Restored' } as const;
    const mode = (this.#surface.dataset.shows ?? 'compare') as Rendition;
    this.#picture.canvas.setAttribute(
      'aria-label',
      `${shows[mode]}: frame ${Number(this.#surface.dataset.frame ?? 0) + 1} of ${this.#job.name}`,
    );
  }
}

function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'AbortError';
}
