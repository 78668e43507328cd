import { pictureBytes } from '../picture.ts';
import type { Area } from './tiles.ts';

type Samples = Uint8Array | Float32Array | Uint16Array;

interface Plane {
  /** Index of the plane's first sample, and samples a row. */
  at: number;
  stride: number;
}

/** Copies a rectangle of one plane into one of another. */
export function copyArea(
  from: Samples,
  source: Plane & { x: number; y: number },
  to: Samples,
  target: Plane & { x: number; y: number },
  width: number,
  height: number,
): void {
  for (let row = 0; row < height; row++) {
    const at = source.at + (source.y + row) * source.stride + source.x;
    to.set(from.subarray(at, at + width) as never, target.at + (target.y + row) * target.stride + target.x);
  }
}

/**
 * Copies `area` of an I420 picture that shows `from.shows` of a whole into one that shows `to.shows`. All areas are
 * in samples of the whole, even, and `area` lies in both.
 */
export function copyPictureArea(
  from: Uint8Array,
  fromShows: Area,
  to: Uint8Array,
  toShows: Area,
  area: Area,
): void {
  for (const [plane, scale] of [
    [0, 1],
    [1, 2],
    [2, 2],
  ] as const) {
    const place = (shows: Area) => ({
      at: (plane > 0 ? shows.width * shows.height : 0) + (plane > 1 ? (shows.width * shows.height) / 4 : 0),
      stride: shows.width / scale,
      x: (area.x - shows.x) / scale,
      y: (area.y - shows.y) / scale,
    });
    copyArea(from, place(fromShows), to, place(toShows), area.width / scale, area.height / scale);
  }
}

/** A copy of `area` of a picture of the whole. */
export function cropPicture(from: Uint8Array, whole: Area, area: Area): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(pictureBytes(area.width, area.height));
  copyPictureArea(from, whole, out, area, area);
  return out;
}
