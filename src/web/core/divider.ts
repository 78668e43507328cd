import { h } from './dom.ts';

const STEP = 1;
const PAGE = 10;

export interface DividerOptions {
  /** What is left of the divider, in a word. */
  before: string;
  /** Position 0..1 from the left, also once at the start. */
  moved(position: number): void;
  /** Whether a drag that begins beside the divider moves it, too. */
  anywhere?(): boolean;
}

/**
 * The before/after divider: an ARIA slider over the picture. Drag anywhere on `surface`; arrow keys, Page Up/Down,
 * Home and End move it, a double click centres it.
 */
export class Divider {
  readonly element: HTMLElement;
  readonly #surface: HTMLElement;
  readonly #options: DividerOptions;
  #percent = 50;

  constructor(surface: HTMLElement, options: DividerOptions) {
    this.#surface = surface;
    this.#options = options;
    this.element = h(
      'div',
      {
        class: 'divider',
        role: 'slider',
        tabindex: 0,
        'aria-label': 'Before and after',
        'aria-orientation': 'horizontal',
        'aria-valuemin': 0,
        'aria-valuemax': 100,
      },
      h('i', { class: 'grip', 'aria-hidden': 'true' }),
    );
    this.element.addEventListener('keydown', (event) => {
      if (!event.ctrlKey && !event.metaKey && !event.altKey && this.key(event.key)) event.preventDefault();
    });
    surface.addEventListener('pointerdown', (event) => this.#grab(event));
    surface.addEventListener('dblclick', (event) => {
      if (!this.element.hidden && !this.#isControl(event.target)) this.set(50);
    });
    this.set(50);
  }

  /** Moves by a key; false when the key is not one of the slider's. */
  key(key: string): boolean {
    const moves: Record<string, number> = {
      ArrowLeft: this.#percent - STEP,
      ArrowDown: this.#percent - STEP,
      ArrowRight: this.#percent + STEP,
      ArrowUp: this.#percent + STEP,
      PageDown: this.#percent - PAGE,
      PageUp: this.#percent + PAGE,
      Home: 0,
      End: 100,
    };
    const next = moves[key];
    if (next === undefined || this.element.hidden) return false;
    this.set(next);
    return true;
  }

  set(percent: number): void {
    this.#percent = Math.min(100, Math.max(0, percent));
    const whole = Math.round(this.#percent);
    this.#surface.style.setProperty('--divider', `${this.#percent}%`);
    this.#surface.dataset.near = whole < 16 ? 'left' : whole > 84 ? 'right' : '';
    this.element.setAttribute('aria-valuenow', String(whole));
    this.element.setAttribute(
      'aria-valuetext',
      `${whole} % ${this.#options.before}, ${100 - whole} % restored`,
    );
    this.#options.moved(this.#percent / 100);
  }

  #isControl(target: EventTarget | null): boolean {
    return target instanceof Element && target.closest('button, a, input') !== null;
  }

  #grab(event: PointerEvent): void {
    if (this.element.hidden || event.button !== 0 || this.#isControl(event.target)) return;
    const { anywhere = () => true } = this.#options;
    if (!anywhere() && !(event.target instanceof Node && this.element.contains(event.target))) return;
    const surface = this.#surface;
    // Touches wait for a horizontal move: a vertical one scrolls the page (touch-action: pan-y).
    if (event.pointerType === 'mouse') this.#follow(event);
    surface.setPointerCapture(event.pointerId);
    surface.dataset.dragging = '';
    this.element.focus({ preventScroll: true });
    const done = new AbortController();
    const { signal } = done;
    surface.addEventListener('pointermove', (move) => this.#follow(move), { signal });
    for (const type of ['pointerup', 'pointercancel'] as const) {
      surface.addEventListener(
        type,
        () => {
          delete surface.dataset.dragging;
          done.abort();
        },
        { signal },
      );
    }
  }

  #follow(event: PointerEvent): void {
    const { left, width } = this.#surface.getBoundingClientRect();
    if (width > 0) this.set(((event.clientX - left) / width) * 100);
  }
}
