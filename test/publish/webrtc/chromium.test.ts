import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sink, SubscribeOptions } from '../../../src/contracts/publish.ts';
import { launchBrowser } from '../../support/browser.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { LossyRelay } from './lossy-relay.ts';
import { ages, play, restartIce, shown, stats } from './player.ts';

const TIMEOUT = { timeout: 180_000 };

async function playing(gateway: TestGateway) {
  const browser = await launchBrowser();
  const page = await browser.context.newPage();
  await page.goto(gateway.url);
  return { browser, page };
}

/** Resolves when no viewer is left. */
async function empty(gateway: TestGateway): Promise<void> {
  if (gateway.publisher.viewers('cam') === 0) return;
  await new Promise<void>((resolve) => {
    const off = gateway.publisher.onViewers((_stream, viewers) => {
      if (viewers > 0) return;
      off();
      resolve();
    });
  });
}

test('Chromium plays picture and sound, and its RTP timestamps are the output clock', TIMEOUT, async (t) => {
  await using gateway = await startGateway();
  const pts = new Set<number>();
  const tap = gateway.source.subscribe({
    rendition: 'restored',
    sink: { video: (unit) => void pts.add(unit.pts % 2 ** 32) },
  });
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await play(page);
  await shown(page, 75);
  const { first, timestamps, width } = await page.evaluate(() => {
    const { firstPicture, timestamps, video } = window.players.main!;
    return { first: firstPicture!, timestamps, width: video.videoWidth };
  });
  t.diagnostic(`first picture ${first.toFixed(0)} ms after the player was made`);
  assert.equal(width, 320);
  assert.ok(
    timestamps.every((timestamp) => pts.has(timestamp)),
    'rtpTimestamp = pts mod 2^32',
  );
  assert.ok(timestamps.every((timestamp, i) => i === 0 || timestamp > timestamps[i - 1]!));

  const inbound = await stats(page, 'inbound-rtp');
  const sound = inbound.find(({ kind }) => kind === 'audio');
  assert.ok(Number(sound?.totalAudioEnergy) > 0, 'the beeps are heard');
  assert.equal(gateway.publisher.viewers('cam'), 1);
  const { values } = await gateway.metrics.viewers.get();
  assert.deepEqual(
    values.map(({ labels, value }) => [labels.stream, labels.protocol, value]),
    [['cam', 'webrtc', 1]],
  );

  tap.close();
});

test('lips stay in sync: the picture waits for sound that comes late', TIMEOUT, async (t) => {
  await using gateway = await startGateway();
  const subscribe = gateway.source.subscribe.bind(gateway.source);
  t.mock.method(gateway.source, 'subscribe', ({ sink, ...options }: SubscribeOptions) => {
    const audio: Sink['audio'] = (packet) => void setTimeout(() => sink.audio?.(packet), 300);
    return subscribe({ ...options, sink: { ...sink, audio } });
  });
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await play(page);
  await shown(page, 25);
  // Chromium moves picture and sound towards each other by their sender reports, some 30 ms a second.
  let age = await ages(page);
  while (age.video < 250 || Math.abs(age.audio - age.video) > 40) {
    await page.waitForTimeout(200);
    age = await ages(page);
  }
  t.diagnostic(`sound ${age.audio.toFixed(0)} ms old, picture ${age.video.toFixed(0)} ms`);
});

test('an ICE restart keeps the picture, DELETE ends the session', TIMEOUT, async () => {
  await using gateway = await startGateway();
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await play(page);
  await shown(page, 10);
  const restarted = await restartIce(page);
  assert.equal(restarted.status, 200);
  assert.notEqual(restarted.etag, restarted.before);
  await shown(page, 50);
  assert.equal(await page.evaluate(() => window.players.main!.connection.iceConnectionState), 'connected');
  assert.equal(gateway.publisher.sessions, 1);

  const status = await page.evaluate(
    async () => (await fetch(window.players.main!.location, { method: 'DELETE' })).status,
  );
  assert.equal(status, 200);
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal(gateway.source.subscribers(), 0);
});

test('viewers stay connected over a stall, and the picture comes back by itself', TIMEOUT, async () => {
  await using gateway = await startGateway();
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await play(page);
  await shown(page, 10);
  gateway.source.stall();
  const before = await page.evaluate(() => window.players.main!.timestamps.length);
  await page.waitForTimeout(1500);
  gateway.source.resume();
  await shown(page, 25);
  const after = await page.evaluate(() => window.players.main!.timestamps.length);
  assert.ok(after > before);
  assert.equal(await page.evaluate(() => window.players.main!.connection.connectionState), 'connected');
});

test('a killed viewer disturbs nobody and is cleaned up when its consent expires', TIMEOUT, async () => {
  await using gateway = await startGateway();
  const first = await playing(gateway);
  const second = await playing(gateway);
  await using _ = second.browser;
  await play(first.page);
  await play(second.page);
  await shown(first.page, 10);
  await shown(second.page, 10);
  const gone = new Promise<void>((resolve) => {
    gateway.publisher.onViewers((_stream, viewers) => {
      if (viewers === 1) resolve();
    });
  });
  // Every process of it, so that it cannot say goodbye.
  const cdp = await first.browser.context.browser()?.newBrowserCDPSession();
  assert.ok(cdp);
  const { processInfo } = await cdp.send('SystemInfo.getProcessInfo');
  const ids = processInfo.map(({ id }) => id);
  for (const id of ids) process.kill(id, 'SIGKILL');
  await shown(second.page, 50);
  const [inbound] = await stats(second.page, 'inbound-rtp').then((all) =>
    all.filter(({ kind }) => kind === 'video'),
  );
  assert.equal(inbound?.packetsLost, 0);
  assert.equal(gateway.publisher.sessions, 2, 'not known to be gone yet');
  await gone;
  assert.equal(gateway.publisher.sessions, 1);
  await Promise.resolve(first.browser[Symbol.asyncDispose]()).catch(() => {});
});

test('lost packets are sent again and the picture goes on', TIMEOUT, async (t) => {
  await using gateway = await startGateway({
    source: { bitrate: 3_000_000, width: 640, height: 360 },
  });
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await using relay = await LossyRelay.open(0.05);
  relay.gatewayPort = await play(page, { port: relay.port });
  await shown(page, 150);
  const [video] = (await stats(page, 'inbound-rtp')).filter(({ kind }) => kind === 'video');
  t.diagnostic(
    `dropped ${relay.dropped}, nacks ${video?.nackCount}, resent ${video?.retransmittedPacketsReceived}, freezes ${video?.freezeCount}, wishes ${gateway.source.bitrates}`,
  );
  assert.ok(relay.dropped > 0);
  assert.ok(Number(video?.retransmittedPacketsReceived) > 0);

  // Everything lost for a while is more than NACK mends: the next keyframe does.
  relay.loss = 1;
  await page.waitForTimeout(1500);
  relay.loss = 0;
  await shown(page, 50);
});

test('the bitrate follows a path that carries less than is sent', TIMEOUT, async (t) => {
  await using gateway = await startGateway({ source: { bitrate: 3_000_000, width: 640, height: 360 } });
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  await using relay = await LossyRelay.open(0);
  relay.rate = 1_500_000;
  relay.gatewayPort = await play(page, { port: relay.port });
  // The source does not follow; what is asked of it is what counts.
  while (!gateway.source.bitrates.some((bps) => bps !== undefined && bps < 1_500_000)) {
    await page.waitForTimeout(200);
  }
  t.diagnostic(`wishes ${gateway.source.bitrates}`);
});

test('50 viewers come and go by reloading and leave no session behind', TIMEOUT, async () => {
  await using gateway = await startGateway();
  const { browser, page } = await playing(gateway);
  await using _ = browser;
  for (let i = 0; i < 50; i++) {
    await play(page);
    await shown(page, 1);
    await page.reload();
  }
  await empty(gateway);
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal(gateway.source.subscribers(), 0);
});
