import { blend, Canvas, type Colour, cloudNoise, hash } from './demo-canvas.ts';

/** Picture size of the demo camera. */
export const WIDTH = 640;
export const HEIGHT = 360;

const NIGHT: Colour = [22, 30, 62];
const DUSK: Colour = [196, 112, 88];
const WARM: Colour = [255, 206, 128];
const COOL: Colour = [176, 212, 255];
const IRON: Colour = [28, 32, 42];

/** A town square on a clear evening: everything that stands still, with as much fine texture as a lens would show. */
export function drawBackground(): Canvas {
  const canvas = new Canvas(WIDTH, HEIGHT);
  drawSky(canvas);
  drawHills(canvas);
  drawSkyline(canvas);
  for (const foot of [362, 438]) canvas.line(400, 154, foot, 246, 3, [150, 158, 178]);
  drawStreet(canvas);
  drawCafe(canvas);
  drawBillboard(canvas);
  return canvas;
}

function drawSky(canvas: Canvas): void {
  canvas.paint(0, 0, WIDTH, 230, (x, y) => {
    const base = blend(NIGHT, DUSK, Math.max(0, (y - 20) / 200) ** 1.6);
    const star = hash(x, y, 1);
    return star > 0.9965 && y < 130 ? [blend(base, [255, 250, 235], (star - 0.9965) * 250), 1] : [base, 1];
  });
  canvas.glow(545, 52, 80, [210, 220, 255], 0.5);
  canvas.disc(545, 52, 21, [236, 232, 214]);
  canvas.paint(524, 31, 568, 75, (x, y) =>
    Math.hypot(x - 545, y - 52) < 20.5
      ? [[150, 150, 150], cloudNoise(x / 9, y / 9, 5) ** 2 * 0.7]
      : undefined,
  );
}

function drawHills(canvas: Canvas): void {
  canvas.paint(0, 110, WIDTH, 246, (x, y) => {
    const ridge = 178 - 52 * cloudNoise(x / 120, 0, 11) - 10 * cloudNoise(x / 14, 3, 12);
    if (y < ridge) return undefined;
    const rock = cloudNoise(x / 6, y / 3, 13);
    const snow = y < ridge + 13 + 16 * rock ? 0.6 : 0.08;
    return [blend([46, 50, 78], [190, 196, 220], snow * (0.4 + rock)), Math.min(1, y - ridge)];
  });
}

function drawSkyline(canvas: Canvas): void {
  for (let i = 0, x = 150; x < WIDTH - 20; i++) {
    const width = 26 + Math.floor(hash(i, 1, 21) * 34);
    const top = 128 + Math.floor(hash(i, 2, 21) * 62);
    drawHouse(canvas, x, top, x + width, 244, i);
    x += width + (hash(i, 3, 21) > 0.7 ? 8 : 1);
  }
}

const WALLS: Colour[] = [
  [92, 62, 58],
  [72, 76, 98],
  [104, 88, 72],
  [62, 82, 88],
  [86, 70, 92],
];

/** Brick by brick, with some windows lit. */
function drawHouse(canvas: Canvas, x0: number, y0: number, x1: number, y1: number, seed: number): void {
  const wall = WALLS[seed % WALLS.length]!;
  canvas.paint(x0, y0, x1, y1, (x, y) => {
    const row = Math.floor((y - y0) / 3);
    const mortar = (y - y0) % 3 === 0 || (x - x0 + (row % 2) * 3) % 6 === 0;
    const brick = hash(Math.floor((x - x0 + (row % 2) * 3) / 6), row, seed + 40);
    return [blend(wall, mortar ? [150, 140, 134] : [20, 20, 26], mortar ? 0.3 : brick * 0.4), 1];
  });
  canvas.rect(x0 - 1, y0 - 2, x1 + 1, y0 + 1, blend(wall, [200, 200, 210], 0.35));
  for (let y = y0 + 7; y < y1 - 22; y += 13) {
    for (let x = x0 + 4; x < x1 - 7; x += 9) {
      const lit = hash(x, y, seed + 60);
      const pane: Colour = lit > 0.55 ? blend(WARM, COOL, lit > 0.9 ? 0.9 : lit - 0.55) : [26, 30, 44];
      canvas.rect(x - 1, y - 1, x + 6, y + 9, blend(wall, [230, 226, 214], 0.5));
      canvas.rect(x, y, x + 5, y + 8, pane);
      canvas.rect(x + 2, y, x + 3, y + 8, [60, 52, 48]);
      canvas.rect(x, y + 3, x + 5, y + 4, [60, 52, 48]);
    }
  }
}

function drawStreet(canvas: Canvas): void {
  // Pavement of setts, kerb, asphalt with its grain, tram rails, zebra crossing.
  canvas.paint(0, 244, WIDTH, 268, (x, y) => {
    const row = Math.floor((y - 244) / 4);
    const joint = (y - 244) % 4 === 0 || (x + (row % 2) * 4) % 8 === 0;
    const sett = hash(Math.floor((x + (row % 2) * 4) / 8), row, 81);
    return [blend([124, 116, 112], [40, 38, 44], joint ? 0.8 : sett * 0.4), 1];
  });
  canvas.rect(0, 266, WIDTH, 270, [164, 160, 156]);
  canvas.paint(0, 270, WIDTH, HEIGHT, (x, y) => {
    const grain = hash(x, y, 83) * 0.35 + cloudNoise(x / 40, y / 12, 84) * 0.4;
    return [blend([58, 60, 70], [122, 118, 116], grain), 1];
  });
  for (const y of [281, 291]) canvas.rect(0, y, WIDTH, y + 2, [176, 178, 186], 0.9);
  for (let i = 0; i < 9; i++) {
    const left = 404 + i * 15;
    canvas.paint(left - 40, 300, left + 20, 352, (x, y) => {
      const edge = left - (y - 300) * 0.35;
      return x >= edge && x < edge + 8 ? [[214, 210, 200], 0.75 + 0.25 * hash(x, y, 85)] : undefined;
    });
  }
  for (const x of [215, 330, 470, 600]) canvas.glow(x, 262, 90, WARM, 0.3);
}

/** The brick front on the left, with awning, window and sign. */
function drawCafe(canvas: Canvas): void {
  drawHouse(canvas, 0, 84, 148, 268, 2);
  canvas.rect(8, 158, 140, 178, [20, 46, 58]);
  canvas.rect(8, 158, 140, 160, [214, 178, 92]);
  canvas.rect(8, 176, 140, 178, [214, 178, 92]);
  canvas.text(17, 161, 'CLEARWAY', [255, 232, 170], 2);
  canvas.rect(14, 200, 96, 258, [255, 214, 140]);
  canvas.paint(14, 200, 96, 258, (x, y) => [[120, 62, 30], 0.5 * cloudNoise(x / 12, y / 16, 91)]);
  for (const x of [14, 40, 67, 94]) canvas.rect(x, 200, x + 2, 258, [52, 36, 30]);
  canvas.rect(14, 226, 96, 228, [52, 36, 30]);
  canvas.rect(106, 198, 136, 268, [66, 34, 30]);
  canvas.rect(110, 203, 132, 236, [246, 200, 124]);
  canvas.text(112, 241, 'OPEN', [240, 236, 220]);
  for (let x = 8; x < 140; x++) {
    const stripe: Colour = Math.floor(x / 7) % 2 ? [192, 48, 52] : [236, 230, 214];
    canvas.rect(x, 180, x + 1, 192 + ((x % 14) - 7) ** 2 / -12 + 6, stripe);
  }
}

/** Lines of ever smaller print: where they stop being legible shows what a camera, and its restoration, can do. */
function drawBillboard(canvas: Canvas): void {
  canvas.rect(560, 150, 634, 152, IRON);
  canvas.rect(570, 222, 574, 262, IRON);
  canvas.rect(620, 222, 624, 262, IRON);
  canvas.rect(558, 152, 636, 222, [240, 236, 224]);
  canvas.rect(560, 154, 634, 220, [26, 66, 92]);
  canvas.text(566, 159, 'NIGHT', [255, 240, 200], 2);
  canvas.text(566, 178, 'SHARP AGAIN', [240, 246, 255]);
  canvas.text(566, 189, '1234579 50', [255, 214, 120]);
  for (let i = 0; i < 60; i++) {
    // A wedge of lines from 3 pixels apart to 1.
    const x = 566 + i + i * (1 - i / 60) * 0.12;
    if (i % (i < 20 ? 3 : 2) === 0) canvas.rect(x, 201, x + 1, 216, [236, 240, 244]);
  }
}

/** Wisps that drift and repeat every `WIDTH` pixels. */
export function drawClouds(): Canvas {
  const canvas = new Canvas(WIDTH * 2, 110);
  canvas.paint(0, 0, WIDTH * 2, 110, (x, y) => {
    const thick = cloudNoise(x / 80, y / 26, 7, WIDTH / 80) - 0.42;
    const fade = Math.min(1, y / 20, (110 - y) / 40);
    return [blend([110, 96, 120], [230, 176, 160], y / 110), Math.max(0, thick * 2.2 * fade)];
  });
  return canvas;
}

/** The big wheel without its gondolas, to be turned about its middle. */
export function drawWheel(): Canvas {
  const size = 164;
  const c = size / 2;
  const canvas = new Canvas(size, size);
  for (let i = 0; i < 24; i++) {
    const angle = (i * Math.PI) / 12;
    const [dx, dy] = [Math.cos(angle), Math.sin(angle)];
    canvas.line(c, c, c + 70 * dx, c + 70 * dy, 1, [176, 186, 206], 0.8);
    const lamp: Colour = [WARM, [255, 110, 120], [120, 220, 255]][i % 3] as Colour;
    canvas.disc(c + 70 * dx, c + 70 * dy, 2.4, lamp);
    canvas.disc(c + 48 * dx, c + 48 * dy, 1.4, lamp, 0.9);
    if (i % 3 === 0) canvas.disc(c + 75 * dx, c + 75 * dy, 5, WALLS[i % 5]!);
    if (i % 3 === 0) canvas.disc(c + 75 * dx, c + 75 * dy, 3, WARM);
  }
  for (const radius of [70, 64, 48, 8]) canvas.ring(c, c, radius, 1.2, [206, 214, 230]);
  return canvas;
}

/** Street lamps, railing and a tree: what stands in front of the traffic. */
export function drawForeground(): Canvas {
  const canvas = new Canvas(WIDTH, HEIGHT);
  for (const x of [215, 330, 470]) {
    canvas.rect(x - 1, 186, x + 2, 272, IRON);
    canvas.rect(x - 4, 266, x + 5, 273, IRON);
    canvas.line(x, 188, x + 12, 182, 2, IRON);
    canvas.glow(x + 13, 186, 26, WARM, 0.75);
    canvas.disc(x + 13, 185, 4, [255, 244, 214]);
  }
  for (let x = 2; x < 380; x += 8) canvas.line(x, 330, x, HEIGHT, 2, IRON);
  for (let x = 2; x < 380; x += 16) canvas.ring(x + 4, 337, 4, 1.2, IRON);
  canvas.rect(0, 327, 380, 331, IRON);
  canvas.rect(0, 342, 380, 344, IRON);
  drawTree(canvas, 626, HEIGHT);
  return canvas;
}

function drawTree(canvas: Canvas, x: number, y: number): void {
  canvas.line(x, y, x - 8, y - 80, 9, [42, 32, 28]);
  canvas.line(x - 6, y - 60, x - 36, y - 106, 4, [42, 32, 28]);
  for (let i = 0; i < 900; i++) {
    const angle = hash(i, 1, 71) * 2 * Math.PI;
    const radius = Math.sqrt(hash(i, 2, 71)) * 44;
    const [lx, ly] = [x - 14 + radius * Math.cos(angle) * 1.1, y - 108 + radius * Math.sin(angle) * 0.7];
    const lit = hash(i, 3, 71);
    canvas.line(lx, ly, lx + 3 * Math.cos(angle * 7), ly + 3 * Math.sin(angle * 7), 1.4, [
      40 + 90 * lit,
      62 + 92 * lit,
      36 + 30 * lit,
    ]);
  }
}

export function drawTram(): Canvas {
  const canvas = new Canvas(224, 72);
  canvas.rect(4, 12, 220, 58, [196, 52, 48]);
  canvas.rect(4, 34, 220, 40, [240, 232, 214]);
  canvas.rect(8, 8, 216, 12, [88, 90, 98]);
  for (let x = 12; x < 208; x += 20) {
    canvas.rect(x, 16, x + 16, 33, [255, 228, 166]);
    canvas.disc(x + 8, 27, 3, [72, 50, 44]);
    canvas.rect(x + 4, 30, x + 12, 33, [84, 70, 96]);
  }
  canvas.text(84, 43, 'LINE 7', [255, 240, 200], 1);
  canvas.text(140, 43, 'HARBOUR', [255, 240, 200], 1);
  canvas.rect(14, 58, 210, 63, [40, 40, 46]);
  for (const x of [32, 62, 160, 190]) {
    canvas.disc(x, 63, 7, [30, 30, 34]);
    canvas.disc(x, 63, 3, [146, 148, 156]);
  }
  canvas.line(100, 8, 116, 0, 1.4, [60, 62, 70]);
  canvas.disc(219, 48, 3, [255, 250, 220]);
  return canvas;
}

export function drawCar(body: Colour): Canvas {
  const canvas = new Canvas(96, 40);
  canvas.glow(4, 24, 22, [255, 244, 200], 0.8);
  canvas.paint(14, 4, 82, 20, (x, y) => {
    const slope = (20 - y) * 0.9;
    return x > 14 + slope && x < 82 - slope * 0.7 ? [[168, 196, 214], 1] : undefined;
  });
  canvas.rect(46, 4, 49, 20, body);
  canvas.rect(6, 17, 92, 31, body);
  canvas.rect(6, 22, 92, 23, blend(body, [255, 255, 255], 0.5));
  canvas.text(40, 23, '59 CW 14', [240, 240, 240]);
  for (const x of [24, 74]) {
    canvas.disc(x, 31, 7, [24, 24, 28]);
    canvas.disc(x, 31, 3.5, [170, 172, 180]);
  }
  canvas.disc(7, 24, 2.5, [255, 252, 230]);
  canvas.rect(90, 20, 93, 26, [255, 60, 50]);
  return canvas;
}
