import { readFile } from 'node:fs/promises';
import type { JSHandle, Page } from 'playwright-core';
import { play } from '../publish/webrtc/player.ts';
import type { Browser } from '../support/browser.ts';
import type { RunningGateway } from '../support/gateway.ts';

const HLS_JS = new URL('../../node_modules/hls.js/dist/hls.min.js', import.meta.url);

/** What a video element displayed: 8-bit luma as a screen gets it (0..255), rows of `width`. */
export interface Shown {
  luma: Uint8Array;
  width: number;
  height: number;
}

export interface Viewer {
  page: Page;
  video: JSHandle<HTMLVideoElement>;
}

interface HlsPlayer {
  loadSource(url: string): void;
  attachMedia(video: HTMLVideoElement): void;
}

/** An empty page of another origin on this host, which `corsOrigins: ['*']` lets play. */
export async function openPage(browser: Browser, gateway: RunningGateway): Promise<Page> {
  const page = await browser.context.newPage();
  await page.goto(`${gateway.url.replace('127.0.0.1', 'localhost')}/health`);
  return page;
}

/** Watches over WHEP; several viewers of one page need names of their own. */
export async function watchWhep(
  page: Page,
  gateway: RunningGateway,
  stream: string,
  { name = 'main', audio = true } = {},
): Promise<Viewer> {
  await play(page, { name, path: `${gateway.url}/whep/${stream}`, audio });
  const video = await page.evaluateHandle((name) => window.players[name]!.video, name);
  return { page, video };
}

/** Ends every WHEP session of a page, as a player does that is closed properly. */
export async function leaveWhep(page: Page, gateway: RunningGateway): Promise<void> {
  const locations = await page.evaluate(() =>
    Object.values(window.players ?? {}).map(({ location }) => location),
  );
  for (const location of locations) await gateway.api('DELETE', location);
}

/** Watches over low-latency HLS with hls.js. */
export async function watchHls(page: Page, gateway: RunningGateway, stream: string): Promise<Viewer> {
  await page.evaluate(await readFile(HLS_JS, 'utf8'));
  const video = await page.evaluateHandle((url) => {
    const { Hls } = window as unknown as { Hls: new (options: object) => HlsPlayer };
    const video = document.createElement('video');
    video.muted = true;
    video.autoplay = true;
    document.body.append(video);
    const player = new Hls({ lowLatencyMode: true });
    player.loadSource(url);
    player.attachMedia(video);
    return video;
  }, `${gateway.url}/hls/${stream}`);
  return { page, video };
}

/** Reads back `count` frames as they are displayed, each a new one, with pauses for the machine's sake. */
export async function readFrames({ page, video }: Viewer, count: number): Promise<Shown[]> {
  const frames = await page.evaluate(readInPage, { video, count });
  return frames.map(({ luma, ...size }) => ({ ...size, luma: Buffer.from(luma, 'base64') }));
}

async function readInPage({ video, count }: { video: HTMLVideoElement; count: number }) {
  const frames: { luma: string; width: number; height: number }[] = [];
  const canvas = document.createElement('canvas');
  const context = canvas.getContext('2d', { willReadFrequently: true })!;
  while (frames.length < count) {
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    const { videoWidth: width, videoHeight: height } = video;
    Object.assign(canvas, { width, height });
    context.drawImage(video, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const luma = new Uint8Array(width * height);
    for (let i = 0; i < luma.length; i++) {
      // BT.709, as the stream says of itself.
      luma[i] = Math.round(0.2126 * data[4 * i]! + 0.7152 * data[4 * i + 1]! + 0.0722 * data[4 * i + 2]!);
    }
    let text = '';
    for (let i = 0; i < luma.length; i += 0x8000)
      text += String.fromCharCode(...luma.subarray(i, i + 0x8000));
    frames.push({ luma: btoa(text), width, height });
  }
  return frames;
}

/** The halves of a `compare` picture: source left, restored right. */
export function halves({ luma, width, height }: Shown): { source: Shown; restored: Shown } {
  const half = width / 2;
  const cut = (left: number): Shown => {
    const part = new Uint8Array(half * height);
    for (let y = 0; y < height; y++)
      part.set(luma.subarray(y * width + left, y * width + left + half), y * half);
    return { luma: part, width: half, height };
  };
  return { source: cut(0), restored: cut(half) };
}
