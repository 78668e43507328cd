/** Red, green, blue, each 0..255. */
export type Colour = readonly [number, number, number];

/** 5x7 capitals and digits, a row a hex pair, top first; bit 4 is the left column. */
const GLYPHS: Record<string, string> = {
  A: '0e11111f111111',
  B: '1e11111e11111e',
  C: '0e11101010110e',
  D: '1e11111111111e',
  E: '1f10101e10101f',
  F: '1f10101e101010',
  G: '0e11101711110f',
  H: '1111111f111111',
  I: '0e04040404040e',
  L: '1010101010101f',
  M: '111b1515111111',
  N: '11191513111111',
  O: '0e11111111110e',
  P: '1e11111e101010',
  R: '1e11111e141211',
  S: '0f10100e01011e',
  T: '1f040404040404',
  U: '1111111111110e',
  W: '1111111515150a',
  Y: '11110a04040404',
  '0': '0e11131519110e',
  '1': '040c040404040e',
  '2': '0e11010204081f',
  '3': '1f02040201110e',
  '4': '02060a121f0202',
  '5': '1f101e0101110e',
  '7': '1f010204080808',
  '9': '0e11110f01020c',
};

/** A number in 0..1 that depends on nothing but its arguments. */
export function hash(x: number, y: number, seed = 0): number {
  let h = Math.imul(x | 0, 374_761_393) + Math.imul(y | 0, 668_265_263) + Math.imul(seed, 2_147_483_647);
  h = Math.imul(h ^ (h >>> 13), 1_274_126_177);
  return ((h ^ (h >>> 16)) >>> 0) / 4_294_967_296;
}

/** Smooth noise in 0..1 of four octaves; `period` makes it repeat along x. */
export function cloudNoise(x: number, y: number, seed: number, period = 1 << 20): number {
  let sum = 0;
  let amplitude = 0.5;
  for (let octave = 0; octave < 4; octave++) {
    const scale = 2 ** octave;
    const fx = x * scale;
    const fy = y * scale;
    const ix = Math.floor(fx);
    const iy = Math.floor(fy);
    const wrap = period * scale;
    const at = (dx: number, dy: number) => hash((((ix + dx) % wrap) + wrap) % wrap, iy + dy, seed + octave);
    const u = (fx - ix) ** 2 * (3 - 2 * (fx - ix));
    const v = (fy - iy) ** 2 * (3 - 2 * (fy - iy));
    sum += amplitude * mix(mix(at(0, 0), at(1, 0), u), mix(at(0, 1), at(1, 1), u), v);
    amplitude /= 2;
  }
  return sum;
}

function mix(a: number, b: number, t: number): number {
  return a + (b - a) * t;
}

export function blend(a: Colour, b: Colour, t: number): Colour {
  return [mix(a[0], b[0], t), mix(a[1], b[1], t), mix(a[2], b[2], t)];
}

/** A picture with transparency that the demo scene is drawn on, one shape over the other. */
export class Canvas {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;

  constructor(width: number, height: number) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height * 4);
  }

  /** Paints what `shade` returns for each pixel of a box: colour and opacity 0..1, or nothing. */
  paint(
    x0: number,
    y0: number,
    x1: number,
    y1: number,
    shade: (x: number, y: number) => readonly [Colour, number] | undefined,
  ): void {
    for (let y = Math.max(0, Math.floor(y0)); y < Math.min(this.height, Math.ceil(y1)); y++) {
      for (let x = Math.max(0, Math.floor(x0)); x < Math.min(this.width, Math.ceil(x1)); x++) {
        const paint = shade(x, y);
        if (paint && paint[1] > 0) this.put(x, y, paint[0], Math.min(1, paint[1]));
      }
    }
  }

  rect(x0: number, y0: number, x1: number, y1: number, colour: Colour, alpha = 1): void {
    this.paint(x0, y0, x1, y1, () => [colour, alpha]);
  }

  disc(cx: number, cy: number, radius: number, colour: Colour, alpha = 1): void {
    this.paint(cx - radius - 1, cy - radius - 1, cx + radius + 2, cy + radius + 2, (x, y) => [
      colour,
      alpha * Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(x - cx, y - cy))),
    ]);
  }

  /** Light that fades with the distance. */
  glow(cx: number, cy: number, radius: number, colour: Colour, alpha: number): void {
    this.paint(cx - radius, cy - radius, cx + radius, cy + radius, (x, y) => [
      colour,
      alpha * Math.max(0, 1 - Math.hypot(x - cx, y - cy) / radius) ** 2,
    ]);
  }

  line(x0: number, y0: number, x1: number, y1: number, width: number, colour: Colour, alpha = 1): void {
    const length = Math.hypot(x1 - x0, y1 - y0) || 1;
    const [dx, dy] = [(x1 - x0) / length, (y1 - y0) / length];
    const pad = width / 2 + 1;
    this.paint(
      Math.min(x0, x1) - pad,
      Math.min(y0, y1) - pad,
      Math.max(x0, x1) + pad + 1,
      Math.max(y0, y1) + pad + 1,
      (x, y) => {
        const along = Math.min(length, Math.max(0, (x - x0) * dx + (y - y0) * dy));
        const distance = Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
        return [colour, alpha * Math.min(1, Math.max(0, width / 2 + 0.5 - distance))];
      },
    );
  }

  ring(cx: number, cy: number, radius: number, width: number, colour: Colour, alpha = 1): void {
    const pad = radius + width + 1;
    this.paint(cx - pad, cy - pad, cx + pad + 1, cy + pad + 1, (x, y) => [
      colour,
      alpha * Math.min(1, Math.max(0, width / 2 + 0.5 - Math.abs(Math.hypot(x - cx, y - cy) - radius))),
    ]);
  }

  /** Capitals and digits, `size` pixels a dot. */
  text(x: number, y: number, text: string, colour: Colour, size = 1): void {
    for (const [i, character] of [...text].entries()) {
      const rows = GLYPHS[character];
      for (let row = 0; rows && row < 7; row++) {
        const bits = Number.parseInt(rows.slice(row * 2, row * 2 + 2), 16);
        for (let column = 0; column < 5; column++) {
          if (!(bits & (16 >> column))) continue;
          const left = x + (i * 6 + column) * size;
          this.rect(left, y + row * size, left + size, y + (row + 1) * size, colour);
        }
      }
    }
  }

  /** As a Portable Arbitrary Map, which ffmpeg reads with its transparency. */
  toPam(): Uint8Array {
    const header = `P7\nWIDTH ${this.width}\nHEIGHT ${this.height}\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\n`;
    return Buffer.concat([Buffer.from(header), this.pixels]);
  }

  private put(x: number, y: number, [r, g, b]: Colour, alpha: number): void {
    const at = (y * this.width + x) * 4;
    const under = (this.pixels[at + 3]! / 255) * (1 - alpha);
    const out = alpha + under;
    for (const [i, value] of [r, g, b].entries()) {
      this.pixels[at + i] = Math.round((value * alpha + this.pixels[at + i]! * under) / out);
    }
    this.pixels[at + 3] = Math.round(out * 255);
  }
}
