import type { Rendition } from '../../contracts/media.ts';

/** Copies part of the picture onto the canvas: source x, width, and where it goes. */
interface Strip {
  from: number;
  to: number;
  width: number;
}

/**
 * Which columns of a picture `videoWidth` wide go where for a divider at `position` (0..1). A compare picture holds
 * the source in its left half and the restored frame in its right half; only what is seen is copied, so that a
 * comparison costs no more than one plain picture.
 */
export function strips(rendition: Rendition, videoWidth: number, position: number): Strip[] {
  if (rendition !== 'compare') return [{ from: 0, to: 0, width: videoWidth }];
  const half = Math.floor(videoWidth / 2);
  const cut = Math.min(half, Math.max(0, Math.round(half * position)));
  return [
    { from: 0, to: 0, width: cut },
    { from: half + cut, to: cut, width: half - cut },
  ].filter(({ width }) => width > 0);
}

/** Draws a playing video onto a canvas at its own resolution; the last picture stays when the video goes away. */
export class Picture {
  readonly canvas = document.createElement('canvas');
  readonly #context = this.canvas.getContext('2d', { alpha: false });
  #video: HTMLVideoElement | undefined;
  #rendition: Rendition = 'compare';
  #position = 0.5;
  #redraw = 0;

  /** What the canvas shows now. */
  get rendition(): Rendition {
    return this.#rendition;
  }

  set position(position: number) {
    this.#position = position;
    // The frame that stands is drawn again, at most once a screen refresh.
    if (this.#redraw === 0) this.#redraw = requestAnimationFrame(() => this.#draw());
  }

  draw(video: HTMLVideoElement, rendition: Rendition): void {
    this.#video = video;
    this.#rendition = rendition;
    this.#draw();
  }

  #draw(): void {
    cancelAnimationFrame(this.#redraw);
    this.#redraw = 0;
    const video = this.#video;
    if (video === undefined || video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
    const { videoWidth, videoHeight } = video;
    const width = this.#rendition === 'compare' ? Math.floor(videoWidth / 2) : videoWidth;
    if (this.canvas.width !== width || this.canvas.height !== videoHeight) {
      this.canvas.width = width;
      this.canvas.height = videoHeight;
    }
    for (const { from, to, width: w } of strips(this.#rendition, videoWidth, this.#position)) {
      this.#context?.drawImage(video, from, 0, w, videoHeight, to, 0, w, videoHeight);
    }
  }
}
