import type { Page } from 'playwright-core';
import { launchBrowser } from '../support/browser.ts';
import { buildPage } from './built-page.ts';
import { MODELS, MockGateway } from './mock-gateway.ts';
import { MockMedia } from './mock-media.ts';

export interface OpenedPage extends AsyncDisposable {
  gateway: MockGateway;
  media: MockMedia;
  url: string;
  /** A page of its own; what it says on the console as a warning or error, and what it throws, lands in `complaints`. */
  open(
    path: string,
    viewport?: { width: number; height: number },
  ): Promise<{ page: Page; complaints: string[] }>;
}

/** The built page on a mock gateway, in a real Chromium. */
export async function openedPage(): Promise<OpenedPage> {
  await using stack = new AsyncDisposableStack();
  const { dist } = stack.use(await buildPage());
  const media = stack.use(await MockMedia.start());
  const gateway = stack.use(new MockGateway(dist));
  const browser = stack.use(await launchBrowser());
  gateway.media = media;
  gateway.models = MODELS;
  const url = await gateway.listen();
  const owned = stack.move();
  return {
    gateway,
    media,
    url,
    async open(path, viewport) {
      const page = await browser.context.newPage();
      page.setDefaultTimeout(60_000);
      if (viewport) await page.setViewportSize(viewport);
      const complaints: string[] = [];
      page.on('pageerror', (error) => complaints.push(String(error)));
      page.on('console', (message) => {
        if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
      });
      await page.goto(url + path);
      return { page, complaints };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Red, green and blue of the drawn picture at a place given in parts of its width and height. */
export function pixel(page: Page, x: number, y = 0.2): Promise<number[]> {
  return page.evaluate(
    ([px, py]) => {
      const canvas = document.querySelector<HTMLCanvasElement>('.picture canvas')!;
      // Read from a copy: the page's own canvas is made for drawing.
      const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
      copy.drawImage(canvas, canvas.width * px!, canvas.height * py!, 1, 1, 0, 0, 1, 1);
      return [...copy.getImageData(0, 0, 1, 1).data.slice(0, 3)];
    },
    [x, y],
  );
}

/** Which half of the mock's compare picture a place shows: the camera's is blue, the restored one green. */
export async function halfAt(page: Page, x: number): Promise<'camera' | 'restored' | 'neither'> {
  const [, green = 0, blue = 0] = await pixel(page, x);
  if (green > 150 && blue < 120) return 'restored';
  return green < 90 && blue > 60 ? 'camera' : 'neither';
}

/** Waits until the player shows a picture over the protocol. */
export async function playing(page: Page, protocol: 'webrtc' | 'hls'): Promise<void> {
  await page.locator(`.chip-player[data-protocol=${protocol}]:not([hidden])`).waitFor();
}
