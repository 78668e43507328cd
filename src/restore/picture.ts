/** Bytes of a planar I420 picture. */
export function pictureBytes(width: number, height: number): number {
  return (width * height * 3) / 2;
}

export function aligned(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

/** The least number that both divide, as what must suit two alignments. */
export function commonMultiple(a: number, b: number): number {
  let [x, y] = [a, b];
  while (y > 0) [x, y] = [y, x % y];
  return (a / x) * b;
}

/** Copies one plane, repeating its last column and row into the padding (or cutting the padding off). */
function copyPlane(
  from: Uint8Array,
  fromAt: number,
  fromWidth: number,
  fromHeight: number,
  to: Uint8Array,
  toAt: number,
  toWidth: number,
  toHeight: number,
): void {
  const width = Math.min(fromWidth, toWidth);
  for (let row = 0; row < toHeight; row++) {
    const source = fromAt + Math.min(row, fromHeight - 1) * fromWidth;
    const target = toAt + row * toWidth;
    to.set(from.subarray(source, source + width), target);
    if (toWidth > width) to.fill(from[source + width - 1]!, target + width, target + toWidth);
  }
}

/** Copies an I420 picture into one of another size: grown by repeating the edge, or cropped at right and bottom. */
export function resizeCanvas(
  from: Uint8Array,
  fromWidth: number,
  fromHeight: number,
  to: Uint8Array,
  toWidth: number,
  toHeight: number,
): void {
  copyPlane(from, 0, fromWidth, fromHeight, to, 0, toWidth, toHeight);
  const [fw, fh, tw, th] = [fromWidth / 2, fromHeight / 2, toWidth / 2, toHeight / 2];
  const [fromU, toU] = [fromWidth * fromHeight, toWidth * toHeight];
  copyPlane(from, fromU, fw, fh, to, toU, tw, th);
  copyPlane(from, fromU + fw * fh, fw, fh, to, toU + tw * th, tw, th);
}

/** Two I420 pictures of one size side by side, `left` on the left. */
export function sideBySide(
  left: Uint8Array,
  right: Uint8Array,
  width: number,
  height: number,
  out: Uint8Array,
): void {
  let [at, inAt] = [0, 0];
  for (const [w, rows] of [
    [width, height],
    [width / 2, height],
  ] as const) {
    // The chroma planes are height / 2 rows each and follow one another: together height rows of width / 2.
    for (let row = 0; row < rows; row++, at += 2 * w, inAt += w) {
      out.set(left.subarray(inAt, inAt + w), at);
      out.set(right.subarray(inAt, inAt + w), at + w);
    }
  }
}
