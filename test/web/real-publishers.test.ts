import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { after, before, test } from 'node:test';
import type { Route } from 'playwright-core';
import { configSchema } from '../../src/config/schema.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { createHlsPublisher } from '../../src/publish/hls/publisher.ts';
import { hlsRoutes } from '../../src/publish/hls/routes.ts';
import { createWebRtcPublisher, whepRoutes } from '../../src/publish/webrtc/index.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { FakeControl } from '../support/fake-control.ts';
import { createH264Source, FakeDirectory } from '../support/h264-source.ts';
import { buildPage } from './built-page.ts';
import { playing } from './opened-page.ts';

/** The page on the gateway's own HTTP server and publishers, fed with real H.264; `webrtc` false leaves WHEP out. */
async function start(dist: string, webrtc: boolean) {
  await using stack = new AsyncDisposableStack();
  const config = configSchema.parse({ http: { port: 0 }, webrtc: { workers: 1 } });
  const source = await createH264Source({ name: 'cam', width: 640, height: 240 });
  const streams = new FakeDirectory(source);
  const metrics = new Metrics();
  const shared = { streams, logger: silentLogger, metrics };
  const whep = createWebRtcPublisher({ ...shared, config: config.webrtc });
  stack.defer(() => whep.close());
  const hls = createHlsPublisher({ ...shared, config: config.hls });
  stack.defer(() => hls.close());
  const control = new ListeningControl();
  const http = await createHttpServer({
    config,
    control,
    logger: silentLogger,
    metrics,
    webRoot: dist,
    plugins: (guard) => [
      ...(webrtc ? [whepRoutes({ publisher: whep, streams, guard })] : []),
      hlsRoutes({ publisher: hls, streams, guard }),
    ],
  });
  stack.defer(() => http.close());
  const { url } = await http.listen();
  await control.create('cam', { source: 'rtsp://192.0.2.1/cam' });
  control.push('cam', { ...source.status, state: 'live' });
  const owned = stack.move();
  return { url, source, control, whep, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

let page: Awaited<ReturnType<typeof buildPage>>;
let browser: Browser;
before(async () => {
  page = await buildPage();
  browser = await launchBrowser();
});
after(async () => {
  await browser[Symbol.asyncDispose]();
  await page[Symbol.asyncDispose]();
});

/** Tells about the next latency report as it comes. */
class ListeningControl extends FakeControl {
  readonly heard = new EventEmitter<{ report: [protocol: string, samples: number[]] }>();
  override reportViewerLatency(stream: string, protocol: 'webrtc' | 'hls', samples: number[]): void {
    super.reportViewerLatency(stream, protocol, samples);
    this.heard.emit('report', protocol, samples);
  }
}

for (const protocol of ['webrtc', 'hls'] as const) {
  test(`${protocol}: the page plays, measures and says goodbye`, { timeout: 120_000 }, async () => {
    await using gateway = await start(page.dist, protocol === 'webrtc');
    const tab = await browser.context.newPage();
    const complaints: string[] = [];
    tab.on('pageerror', (error) => complaints.push(String(error)));
    tab.on('console', (message) => {
      // A browser logs the 404 of the WHEP endpoint that is not there.
      if (message.type() === 'error' && !message.text().includes('404')) complaints.push(message.text());
    });
    await tab.goto(`${gateway.url}/streams/cam`);
    await playing(tab, protocol);
    const size = await tab.locator('.picture canvas').evaluate((canvas) => {
      const { width, height } = canvas as HTMLCanvasElement;
      return { width, height };
    });
    assert.deepEqual(size, { width: 320, height: 240 });
    const [over, samples] = await once(gateway.control.heard, 'report');
    assert.equal(over, protocol);
    // Bounds that only a wrong clock or a wrong timestamp would break.
    assert.ok(
      samples.every((ms: number) => ms >= 0 && ms < 30_000),
      `${samples}`,
    );
    assert.deepEqual(complaints, []);
    if (protocol === 'webrtc') {
      const left = Promise.withResolvers<void>();
      gateway.whep.onViewers((_, viewers) => {
        if (viewers === 0) left.resolve();
      });
      await tab.goto('about:blank');
      await left.promise;
    }
    await tab.close();
  });
}

/** A proxy's own page instead of the gateway's answer. */
const foreign =
  (status: number) =>
  (route: Route): Promise<void> =>
    route.fulfill({ status, contentType: 'text/html', body: '<h1>Not here</h1>' });
const BLOCKED: Record<string, [(route: Route) => Promise<void>, why: RegExp]> = {
  'refused by a proxy': [foreign(403), /answered with 403/],
  'asked for a login by a proxy': [foreign(401), /answered with 401/],
  'not passed on': [foreign(404), /answered with 404/],
  'a method not allowed': [foreign(405), /answered with 405/],
  'sent to a server that is down': [foreign(502), /answered with 502/],
  'answered with a page': [foreign(200), /answered with 200/],
  'cut off': [(route) => route.abort(), /got no answer/],
  'never answered': [async () => undefined, /no picture within 4 s/],
};
for (const [how, [answer, why]] of Object.entries(BLOCKED)) {
  test(`WHEP ${how}: the page plays HLS and says why`, { timeout: 60_000 }, async () => {
    await using gateway = await start(page.dist, true);
    const tab = await browser.context.newPage();
    await tab.route('**/whep/**', answer);
    await tab.goto(`${gateway.url}/streams/cam`);
    await playing(tab, 'hls');
    await tab.getByText(why).waitFor();
    await tab.close();
  });
}

test('UDP that does not get through: the page plays HLS and says why', { timeout: 120_000 }, async () => {
  await using gateway = await start(page.dist, true);
  const tab = await browser.context.newPage();
  // The answer names a port nobody listens at, and the browser's own addresses never reach the gateway.
  await tab.route('**/whep/**', async (route) => {
    const request = route.request();
    const offer = request.postData()?.replaceAll(/a=candidate.*\r\n/g, '') ?? '';
    const response = await route.fetch({ postData: offer });
    const answer = await response.text();
    await route.fulfill({
      response,
      body: answer.replaceAll(/(a=candidate:\S+ \d+ udp \d+ \S+) \d+/g, '$1 9'),
    });
  });
  await tab.goto(`${gateway.url}/streams/cam`);
  await playing(tab, 'hls');
  await tab.getByText('WebRTC gave no picture within 4 s.').waitFor();
  await tab.close();
});

test('a broken path is mended by an ICE restart: the same session, the picture goes on', {
  timeout: 120_000,
}, async () => {
  await using gateway = await start(page.dist, true);
  const tab = await browser.context.newPage();
  await tab.addInitScript(() => {
    const Original = RTCPeerConnection;
    window.RTCPeerConnection = class extends Original {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        (window as typeof window & { peer?: RTCPeerConnection }).peer = this;
      }
    };
  });
  await tab.goto(`${gateway.url}/streams/cam`);
  await playing(tab, 'webrtc');
  const offers: string[] = [];
  tab.on('request', (request) => {
    if (request.method() === 'POST' && request.url().includes('/whep/')) offers.push(request.url());
  });
  const patched = tab.waitForResponse(
    (response) => response.request().method() === 'PATCH' && response.status() === 200,
  );
  const ufrag = () =>
    tab.evaluate(() => {
      const { peer } = window as typeof window & { peer?: RTCPeerConnection };
      return /a=ice-ufrag:(\S+)/.exec(peer?.currentRemoteDescription?.sdp ?? '')?.[1];
    });
  const before = await ufrag();
  // What the browser reports when packets stop coming.
  await tab.evaluate(() => {
    const { peer } = window as typeof window & { peer?: RTCPeerConnection };
    Object.defineProperty(peer, 'iceConnectionState', { value: 'disconnected', configurable: true });
    peer?.dispatchEvent(new Event('iceconnectionstatechange'));
    Reflect.deleteProperty(peer as object, 'iceConnectionState');
  });
  assert.equal(await (await patched).request().headerValue('if-match'), '*');
  await tab.waitForFunction((old) => {
    const { peer } = window as typeof window & { peer?: RTCPeerConnection };
    const sdp = peer?.currentRemoteDescription?.sdp ?? '';
    return peer?.signalingState === 'stable' && !sdp.includes(`a=ice-ufrag:${old}\r`);
  }, before);
  const drawn = () =>
    tab.evaluate(() => document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0);
  const frames = await drawn();
  await tab.waitForFunction(
    (seen) => (document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0) > seen + 20,
    frames,
  );
  assert.deepEqual(offers, []);
  await tab.close();
});

test('a picture that stops is asked for again on the same session, and goes on when it can', {
  timeout: 120_000,
}, async () => {
  await using gateway = await start(page.dist, true);
  const tab = await browser.context.newPage();
  await tab.goto(`${gateway.url}/streams/cam`);
  await playing(tab, 'webrtc');
  let offers = 0;
  tab.on('request', (request) => {
    if (request.method() === 'POST' && request.url().includes('/whep/')) offers++;
  });
  gateway.source.stall();
  await tab.getByText('The picture stopped; mending the connection.').first().waitFor();
  assert.equal(await tab.locator('.picture').getAttribute('data-dimmed'), 'true');
  gateway.source.resume();
  await tab.locator('.picture[data-dimmed=false]').waitFor();
  assert.equal(offers, 0);
  await tab.close();
});
