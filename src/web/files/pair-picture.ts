import type { Rendition } from '../../contracts/media.ts';

export type Side = 'source' | 'restored';

/** The same frame before and after; sizes may differ. */
export type Pair = Record<Side, ImageBitmap | HTMLCanvasElement>;

/** What part of the picture is seen: `scale` times enlarged, from its left upper corner `x`, `y` (0..1) on. */
export interface Zoom {
  scale: number;
  x: number;
  y: number;
}

export const WHOLE: Zoom = { scale: 1, x: 0, y: 0 };
export const SCALES: readonly number[] = [1, 2, 4, 8];

/** Another scale around a place (0..1 of what is seen) that stays where it is; never beyond the picture's edges. */
export function zoomed({ scale, x, y }: Zoom, to: number, at: { x: number; y: number }): Zoom {
  return bounded({ scale: to, x: x + at.x * (1 / scale - 1 / to), y: y + at.y * (1 / scale - 1 / to) });
}

/** Moves what is seen by parts of its own size. */
export function panned({ scale, x, y }: Zoom, by: { x: number; y: number }): Zoom {
  return bounded({ scale, x: x + by.x / scale, y: y + by.y / scale });
}

function bounded({ scale, x, y }: Zoom): Zoom {
  const most = 1 - 1 / scale;
  const within = (value: number): number => Math.min(most, Math.max(0, value));
  return { scale, x: within(x), y: within(y) };
}

/** Which columns of a canvas `width` wide show which side, for a divider at `position` (0..1). */
export function columns(
  mode: Rendition,
  width: number,
  position: number,
): { side: Side; from: number; width: number }[] {
  if (mode !== 'compare') return [{ side: mode, from: 0, width }];
  const cut = Math.min(width, Math.max(0, Math.round(width * position)));
  return [
    { side: 'source' as const, from: 0, width: cut },
    { side: 'restored' as const, from: cut, width: width - cut },
  ].filter((part) => part.width > 0);
}

/** Draws two pictures of one frame over each other, cut at the divider, at the resolution of the restored one. */
export class PairPicture {
  readonly canvas = document.createElement('canvas');
  readonly #context = this.canvas.getContext('2d', { alpha: false });
  #pair: Pair | undefined;
  #mode: Rendition = 'compare';
  #position = 0.5;
  #zoom = WHOLE;
  #redraw = 0;

  constructor(width: number, height: number) {
    this.canvas.width = width;
    this.canvas.height = height;
  }

  set pair(pair: Pair) {
    this.#pair = pair;
    this.#draw();
  }

  set mode(mode: Rendition) {
    this.#mode = mode;
    this.#soon();
  }

  set position(position: number) {
    this.#position = position;
    this.#soon();
  }

  get zoom(): Zoom {
    return this.#zoom;
  }

  set zoom(zoom: Zoom) {
    this.#zoom = zoom;
    this.#soon();
  }

  close(): void {
    cancelAnimationFrame(this.#redraw);
    this.#pair = undefined;
  }

  /** At most once a screen refresh. */
  #soon(): void {
    if (this.#redraw === 0) this.#redraw = requestAnimationFrame(() => this.#draw());
  }

  #draw(): void {
    cancelAnimationFrame(this.#redraw);
    this.#redraw = 0;
    const context = this.#context;
    if (this.#pair === undefined || context === null) return;
    const { width, height } = this.canvas;
    const { scale, x, y } = this.#zoom;
    // From four times on, pixels are looked at as such.
    context.imageSmoothingEnabled = scale < 4;
    context.imageSmoothingQuality = 'high';
    for (const part of columns(this.#mode, width, this.#position)) {
      const picture = this.#pair[part.side];
      const across = picture.width / scale;
      context.drawImage(
        picture,
        x * picture.width + (part.from / width) * across,
        y * picture.height,
        (part.width / width) * across,
        picture.height / scale,
        part.from,
        0,
        part.width,
        height,
      );
    }
  }
}
