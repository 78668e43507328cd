import { h } from '../core/dom.ts';

const EVERY_MS = 2_000;
const AFTER_ERROR_MS = 6_000;

/**
 * A still that renews itself every 2 s while it is on screen, the page is visible and `wanted` is true. A new picture
 * replaces the old one only once it is decoded, so that nothing flashes.
 */
export class Snapshot {
  readonly element = h('div', { class: 'snapshot' });
  readonly #url: string;
  readonly #observer: IntersectionObserver;
  readonly #abort = new AbortController();
  #wanted = false;
  #visible = false;
  #loading = false;
  #due = 0;
  #timer = 0;

  constructor(stream: string) {
    this.#url = `/snapshot/${encodeURIComponent(stream)}.jpg?rendition=restored`;
    this.#observer = new IntersectionObserver(([entry]) => {
      this.#visible = entry?.isIntersecting ?? false;
      this.#plan();
    });
    this.#observer.observe(this.element);
    const { signal } = this.#abort;
    document.addEventListener('visibilitychange', () => this.#plan(), { signal });
  }

  /** Whether the stream has a picture now. Asking for one would wake a sleeping camera. */
  set wanted(wanted: boolean) {
    if (wanted === this.#wanted) return;
    this.#wanted = wanted;
    this.element.dataset.stale = String(!wanted);
    this.#plan();
  }

  close(): void {
    this.#abort.abort();
    this.#observer.disconnect();
    clearTimeout(this.#timer);
    this.#wanted = false;
  }

  #plan(): void {
    clearTimeout(this.#timer);
    if (!this.#wanted || !this.#visible || document.hidden || this.#loading) return;
    this.#timer = window.setTimeout(() => void this.#load(), Math.max(0, this.#due - performance.now()));
  }

  async #load(): Promise<void> {
    this.#loading = true;
    const image = new Image();
    image.alt = '';
    image.decoding = 'async';
    image.src = `${this.#url}&t=${Date.now()}`;
    try {
      await image.decode();
      this.element.replaceChildren(image);
      this.element.dataset.stale = 'false';
      this.#due = performance.now() + EVERY_MS;
    } catch {
      this.element.dataset.stale = 'true';
      this.#due = performance.now() + AFTER_ERROR_MS;
    }
    this.#loading = false;
    if (!this.#abort.signal.aborted) this.#plan();
  }
}
