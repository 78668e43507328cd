import { ClearwayError } from '../../contracts/errors.ts';
import type { FileSettings } from '../../contracts/file.ts';

/** Longest side of a picture that is decoded or made: that of 8K DCI. */
export const MAX_SIDE = 8192;

/**
 * Size of the result: the picture brought to so many lines, its shape kept, both sides even. Throws
 * CLEARWAY_PICTURE_SIZE when it would be too wide.
 */
export function resultSize(
  { width, height }: { width: number; height: number },
  lines: FileSettings['height'],
): { width: number; height: number } {
  const tall = lines === 'source' ? height : lines;
  const size = { width: even(Math.round((width * tall) / height)), height: even(tall) };
  if (size.width <= MAX_SIDE) return size;
  throw new ClearwayError(
    'CLEARWAY_PICTURE_SIZE',
    `The ${width}x${height} picture would be ${size.width} wide at ${tall} lines, more than ${MAX_SIDE}: choose fewer lines.`,
    { status: 422 },
  );
}

/** The next smaller even number, at least 2. */
export function even(side: number): number {
  return Math.max(2, side - (side % 2));
}
