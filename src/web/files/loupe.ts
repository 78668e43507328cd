import { type PairPicture, panned, SCALES, WHOLE, type Zoom, zoomed } from './pair-picture.ts';

/** Part of what is seen by which a key moves it. */
const STEP = 0.1;
const MOVES: Record<string, { x: number; y: number }> = {
  ArrowLeft: { x: -STEP, y: 0 },
  ArrowRight: { x: STEP, y: 0 },
  ArrowUp: { x: 0, y: -STEP },
  ArrowDown: { x: 0, y: STEP },
};

/** Enlarges a picture by keys, pinches and Ctrl with the wheel; once enlarged it is dragged. */
export class Loupe {
  readonly #surface: HTMLElement;
  readonly #picture: PairPicture;
  readonly #changed: (scale: number) => void;

  /** `changed` gets how many times it is enlarged. */
  constructor(surface: HTMLElement, picture: PairPicture, changed: (scale: number) => void) {
    this.#surface = surface;
    this.#picture = picture;
    this.#changed = changed;
    surface.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    surface.addEventListener('pointerdown', (event) => this.#drag(event));
  }

  /** The next larger scale, after the largest the whole picture. */
  next(): void {
    const scale = SCALES[SCALES.indexOf(this.#picture.zoom.scale) + 1];
    this.#set(scale === undefined ? WHOLE : zoomed(this.#picture.zoom, scale, { x: 0.5, y: 0.5 }));
  }

  /** One of its keys; false when it is not. */
  key({ key, shiftKey }: KeyboardEvent): boolean {
    const move = MOVES[key];
    if (move) {
      if (!shiftKey || this.#picture.zoom.scale === 1) return false;
      this.#picture.zoom = panned(this.#picture.zoom, move);
    } else if (key === '+' || key === '=') this.#step(1);
    else if (key === '-') this.#step(-1);
    else if (key === '0') this.#set(WHOLE);
    else return false;
    return true;
  }

  #step(by: 1 | -1, at = { x: 0.5, y: 0.5 }): void {
    const { zoom } = this.#picture;
    const scale = SCALES[SCALES.indexOf(zoom.scale) + by];
    if (scale !== undefined) this.#set(zoomed(zoom, scale, at));
  }

  #set(zoom: Zoom): void {
    this.#picture.zoom = zoom;
    this.#surface.dataset.zoom = String(zoom.scale);
    this.#changed(zoom.scale);
  }

  /** Pinches on a trackpad arrive as wheel events with Ctrl. */
  #wheel(event: WheelEvent): void {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    const { left, top, width, height } = this.#surface.getBoundingClientRect();
    const at = { x: (event.clientX - left) / width, y: (event.clientY - top) / height };
    this.#step(event.deltaY < 0 ? 1 : -1, at);
  }

  /** Beside the divider, which keeps its handle. */
  #drag(event: PointerEvent): void {
    const { target, button, pointerId } = event;
    if (this.#picture.zoom.scale === 1 || button !== 0) return;
    if (target instanceof Element && target.closest('.divider, button, a')) return;
    const surface = this.#surface;
    let { clientX, clientY } = event;
    const done = new AbortController();
    const { signal } = done;
    surface.setPointerCapture(pointerId);
    surface.addEventListener(
      'pointermove',
      (move) => {
        const { width, height } = surface.getBoundingClientRect();
        const by = { x: (clientX - move.clientX) / width, y: (clientY - move.clientY) / height };
        this.#picture.zoom = panned(this.#picture.zoom, by);
        ({ clientX, clientY } = move);
      },
      { signal },
    );
    for (const type of ['pointerup', 'pointercancel'] as const) {
      surface.addEventListener(type, () => done.abort(), { signal });
    }
  }
}
