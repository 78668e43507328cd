import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { shown } from '../publish/webrtc/player.ts';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';
import { openPage, type Viewer, watchHls, watchWhep } from './viewer.ts';

const TIMEOUT = { timeout: 120_000 };

let camera: RtspCamera;
let gateway: RunningGateway;
let browser: Browser;
let page: Page;
let hls: Viewer;
const stack = new AsyncDisposableStack();

before(async () => {
  camera = await startRtspCamera({ audio: 'aac' });
  stack.defer(() => camera[Symbol.asyncDispose]());
  gateway = stack.use(await startGateway({ streams: { cam: patientStream(camera.url) } }));
  browser = stack.use(await launchBrowser());
  page = await openPage(browser, gateway);
  await watchWhep(page, gateway, 'cam');
  hls = await watchHls(page, gateway, 'cam/index.m3u8');
  await shown(page, 10);
  await hlsAdvances();
}, TIMEOUT);
after(() => stack.disposeAsync());

/** hls.js shows pictures newer than all it has now. */
async function hlsAdvances(): Promise<void> {
  await page.evaluate(async (video) => {
    const have = video.buffered.length > 0 ? video.buffered.end(video.buffered.length - 1) : 0;
    while (video.currentTime <= have)
      await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
  }, hls.video);
}

/** Breaks something and sees the picture of the very same viewers come back by itself. */
async function recovers(t: TestContext, harm: () => Promise<void>): Promise<void> {
  const before = await page.evaluate(() => window.players.main!.timestamps.length);
  const noticed = gateway.until('cam', ({ error }) => error !== undefined);
  await harm();
  const { cause, error } = await noticed;
  t.diagnostic(cause);
  assert.ok(error?.retryable, 'the state names the error, and that it is tried again');
  await gateway.until('cam', ({ state }) => state === 'live');
  await shown(page, 10);
  await hlsAdvances();
  const { state, outage } = await page.evaluate((before) => {
    const { connection, timestamps } = window.players.main!;
    const gaps = timestamps.slice(before).map((timestamp, i) => timestamp - timestamps[before + i - 1]!);
    return { state: connection.connectionState, outage: Math.max(...gaps) / 90 };
  }, before);
  t.diagnostic(`${outage.toFixed(0)} ms without a picture`);
  assert.equal(state, 'connected');
  assert.deepEqual((await gateway.status('cam')).viewers, { webrtc: 1, hls: 1 });
  const joined = gateway.log.filter(({ msg }) => msg === 'viewer joined');
  assert.equal(joined.length, 1, 'one WHEP session all along');
}

test('the decoder is killed: viewers stay, the picture comes back', TIMEOUT, (t) =>
  recovers(t, async () => {
    process.kill(await gateway.decoder(camera.url), 'SIGKILL');
  }),
);

test('the restorer is killed: viewers stay, the picture comes back', TIMEOUT, async (t) => {
  const killed = await gateway.restorer();
  const decoder = await gateway.decoder(camera.url);
  await recovers(t, async () => {
    process.kill(killed, 'SIGKILL');
  });
  const now = await gateway.children();
  assert.notEqual(await gateway.restorer(), killed);
  assert.ok(!now.some(({ pid }) => pid === killed || pid === decoder), 'nothing of the old one is left');
});

test('the camera is unplugged and comes back: viewers stay, the picture comes back', TIMEOUT, async (t) => {
  const { port } = camera;
  await recovers(t, async () => {
    await camera.kill();
    // Refused once more before it is back.
    await gateway.until('cam', ({ error }) => error?.code === 'CLEARWAY_SOURCE_UNREACHABLE');
    camera = await startRtspCamera({ audio: 'aac', port });
  });
  const { reconnects } = await gateway.status('cam');
  assert.ok(reconnects >= 3, `${reconnects} reconnects counted`);
});
