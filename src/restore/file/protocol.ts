import type { ErrorInfo } from '../../contracts/errors.ts';
import type { Area, TilePlan } from './tiles.ts';

/**
 * File work, one step at a time, as the inference thread is asked to do it. A picture takes one `file-advance`, a
 * `file-tile` for each of its tiles and a `file-collect`; between two steps live frames have their turn.
 */
export type FileOrder =
  | {
      t: 'file-advance';
      /** Tells files apart. */
      file: number;
      /** A restorer's name. */
      model: string;
      width: number;
      height: number;
      /** The next picture, I420; undefined repeats the newest, at a scene's end for models that look ahead. */
      picture: ArrayBuffer | undefined;
      /** A new scene begins: nothing of the past may show. */
      fresh: boolean;
    }
  | { t: 'file-tile'; file: number; area: Area; strength: number; smoothing: number }
  | { t: 'file-collect'; file: number; out: ArrayBuffer };

export interface FileAnswer {
  t: 'file-answer';
  id: number;
  /** After `file-advance`. */
  plan?: TilePlan;
  /** The finished picture, after `file-collect`. */
  out?: ArrayBuffer;
  /** Pictures that no window needs any more, after `file-advance`. */
  recycled?: ArrayBuffer[];
  error?: ErrorInfo;
}
