import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { shown } from '../publish/webrtc/player.ts';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { isRunning } from '../support/processes.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';
import { leaveWhep, openPage, readFrames, watchHls, watchWhep } from './viewer.ts';

const TIMEOUT = { timeout: 120_000 };
const SMALL = { width: 160, height: 120, rate: 15 };

let always: RtspCamera;
let demanded: RtspCamera;
let gateway: RunningGateway;
let browser: Browser;
let page: Page;
const stack = new AsyncDisposableStack();

before(async () => {
  always = stack.use(await startRtspCamera(SMALL));
  demanded = stack.use(await startRtspCamera(SMALL));
  gateway = stack.use(
    await startGateway({
      hls: { idle: '1s', part: '200ms', segment: '1s' },
      streams: {
        always: patientStream(always.url),
        plain: patientStream(always.url, { model: 'none' }),
        demanded: patientStream(demanded.url, { onDemand: true }),
      },
    }),
  );
  browser = stack.use(await launchBrowser());
  page = await openPage(browser, gateway);
}, TIMEOUT);
after(() => stack.disposeAsync());

/** State changes the log tells of one stream. */
function changes(stream: string): unknown[] {
  return gateway.log.filter((line) => line.msg === 'stream state' && line.stream === stream);
}

async function edit(change: (text: string) => string): Promise<void> {
  await writeFile(gateway.configPath, change(await readFile(gateway.configPath, 'utf8')));
}

test('an on-demand camera has one connection while anybody watches, and lingers', TIMEOUT, async () => {
  assert.equal((await gateway.status('demanded')).state, 'idle');
  assert.equal(demanded.clients, 0);
  let most = 0;
  const count = () => {
    most = Math.max(most, demanded.clients);
  };
  const viewer = await openPage(browser, gateway);
  await watchWhep(viewer, gateway, 'demanded');
  await watchWhep(viewer, gateway, 'demanded?rendition=compare', { name: 'compare' });
  await watchWhep(viewer, gateway, 'demanded?rendition=source', { name: 'source' });
  const hls = await watchHls(viewer, gateway, 'demanded/index.m3u8');
  for (const name of ['main', 'compare', 'source']) {
    await shown(viewer, 5, name);
    count();
  }
  await readFrames(hls, 3);
  assert.equal((await gateway.api('GET', '/snapshot/demanded.jpg')).status, 200);
  count();
  assert.equal(most, 1, 'one connection whatever is watched');
  await leaveWhep(viewer, gateway);
  await viewer.close();
  await gateway.until('demanded', ({ viewers }) => viewers.webrtc === 0 && viewers.hls === 0);
  // Somebody may look away for a moment: the camera stays connected, then is let go.
  assert.equal((await gateway.status('demanded')).state, 'live');
  assert.equal(demanded.clients, 1);
  const measured = async () => {
    const { body } = await gateway.api('GET', '/metrics');
    return (
      String(body).match(/^clearway_(\w+_bitrate|picture|restoration_step).*stream="demanded".*/gm) ?? []
    );
  };
  assert.ok((await measured()).length > 3);
  await gateway.until('demanded', ({ state }) => state === 'idle');
  assert.deepEqual(await measured(), [], 'of a camera that is let go nothing is measured');
  await demanded.connected(0);
  // 10 s after the last viewer; the idle HLS muxer counts as one.
  const times = changes('demanded').map((line) => Date.parse(String((line as { time: string }).time)));
  assert.ok(times.at(-1)! - times.at(-2)! >= 10_000);
});

test(
  'strength, smoothing, height and model change live: same session, same connection, frames flow',
  TIMEOUT,
  async () => {
    const { video } = await watchWhep(page, gateway, 'always');
    const hls = await watchHls(page, gateway, 'always/index.m3u8');
    await readFrames(hls, 3);
    await shown(page, 10);
    const before = changes('always').length;
    const from = await page.evaluate(() => window.players.main!.timestamps.length);
    const patch = async (settings: object) => {
      const { status, body } = await gateway.api('PATCH', '/api/v1/streams/always', settings);
      assert.equal(status, 200, JSON.stringify(body));
      await shown(page, 10);
    };
    await patch({ strength: 0.4, smoothing: 0.1 });
    const set = await gateway.until('always', ({ restoration }) => restoration?.strength === 0.4);
    assert.equal(set.restoration?.smoothing, 0.1);
    await patch({ height: 90 });
    const small = await gateway.until('always', ({ restoration }) => restoration?.height === 90);
    assert.equal(small.restoration?.width, 120);
    for (const watched of [video, hls.video])
      await page.waitForFunction((video) => video.videoWidth === 120 && video.videoHeight === 90, watched, {
        polling: 50,
      });
    await readFrames(hls, 3);
    await patch({ model: 'none' });
    const { frames } = await gateway.until('always', ({ restoration }) => restoration?.model === 'none');
    await patch({ model: 'lite' });
    await gateway.until('always', (status) => status.frames.restored > frames.restored + 10);

    assert.deepEqual(changes('always').slice(before), [], 'the stream stayed live');
    assert.equal(always.clients, 2, 'its camera too (and that of the stream beside it)');
    const { state, gap } = await page.evaluate((from) => {
      const { connection, timestamps } = window.players.main!;
      const gaps = timestamps.slice(from).map((timestamp, i) => timestamp - timestamps[from + i - 1]!);
      return { state: connection.connectionState, gap: Math.max(...gaps) / 90 };
    }, from);
    assert.equal(state, 'connected');
    assert.ok(gap < 2000, `${gap} ms between two frames`);
    assert.match(await readFile(gateway.configPath, 'utf8'), /strength: 0\.4/, 'written back');
  },
);

test('an edit of the file restarts only what it changed', TIMEOUT, async () => {
  await gateway.until('plain', ({ state }) => state === 'live');
  const before = { always: changes('always').length, plain: changes('plain').length };
  await edit(
    (text) =>
      text.replace(/( {2}plain:\n(?: {4}.*\n)*)/, '$1    transport: tcp # said by hand\n') +
      `  added:\n    source: ${always.url}\n    model: none\n`,
  );
  await gateway.until('added', ({ state }) => state === 'live');
  await gateway.until('plain', ({ state }) => state === 'live');
  assert.deepEqual(changes('always').slice(before.always), []);
  assert.ok(changes('plain').length > before.plain);
  assert.equal((await gateway.status('always')).reconnects, 0);
  const removed = await gateway.api('DELETE', '/api/v1/streams/added');
  assert.equal(removed.status, 204);
  const text = await readFile(gateway.configPath, 'utf8');
  assert.match(text, /# said by hand/, 'the API keeps comments');
  assert.doesNotMatch(text, /added:/);
});

test('log.level counts from the edit on: what decoders say, and who watches', TIMEOUT, async () => {
  const joined = () => gateway.log.filter(({ msg }) => msg === 'viewer joined').length;
  const viewer = await openPage(browser, gateway);
  const watch = async () => {
    await watchWhep(viewer, gateway, 'plain');
    await shown(viewer, 1);
    await leaveWhep(viewer, gateway);
  };
  /** Beside a stream that is added with it, so that the edit is seen to be taken in at any level. */
  const level = async (name: string) => {
    const stream = `  at-${name}:\n    source: rtsp://127.0.0.1:1/nothing\n`;
    await edit((text) => `log: { level: ${name} }\n${text.replace(/^log:.*\n/, '')}${stream}`);
    await gateway.until(`at-${name}`, ({ state }) => state === 'backoff');
  };
  const before = joined();
  await level('warn');
  await watch();
  await level('debug');
  await gateway.logged(({ part, level, msg }) => part === 'restorer' && level === 20 && /refused/.test(msg));
  await watch();
  await gateway.logged(() => joined() > before);
  assert.equal(joined(), before + 1);
  for (const name of ['warn', 'debug']) {
    assert.equal((await gateway.api('DELETE', `/api/v1/streams/at-${name}`)).status, 204);
  }
  await edit((text) => text.replace(/^log:.*\n/, ''));
});

test('a broken edit is refused with line and reason, and everything goes on', TIMEOUT, async () => {
  const good = await readFile(gateway.configPath, 'utf8');
  const before = changes('always').length;
  await edit((text) => text.replace('latencyBudget: 1m', 'latencyBudget: soon'));
  // Between its emptying and its writing the file may be read, too.
  const { reason } = await gateway.logged(
    (line) => line.msg === 'configuration edit refused' && !/is empty/.test(String(line.reason)),
  );
  const line = good.split('\n').findIndex((text) => text.includes('latencyBudget: 1m')) + 1;
  assert.match(String(reason), new RegExp(`\\b${line}\\b[\\s\\S]*latencyBudget`));
  const answer = await gateway.api('PATCH', '/api/v1/streams/always', { strength: 1 });
  assert.equal(answer.status, 409, 'the API does not overwrite what an operator is about to correct');
  await edit(() => 'streams: [');
  await gateway.logged((line) => line.msg === 'configuration edit refused' && line.reason !== reason);
  await shown(page, 10);
  assert.deepEqual(changes('always').slice(before), []);
  await edit(() => good);
  await gateway.logged(({ msg }) => msg === 'configuration reloaded');
  assert.equal((await gateway.api('PATCH', '/api/v1/streams/always', { strength: 1 })).status, 200);
});

test('the log names the settings that wait for the next start, as long as they do', TIMEOUT, async () => {
  const waiting = (settings: string[]) =>
    gateway.logged(
      (line) =>
        line.msg === 'these settings take effect at the next start' &&
        String(line.settings) === String(settings),
    );
  const good = await readFile(gateway.configPath, 'utf8');
  await edit((text) => `${text}jobs: { concurrency: 2 }\n`);
  await waiting(['jobs.concurrency']);
  await edit((text) => `${text}restorer: { threads: 3 }\n`);
  await waiting(['restorer.threads', 'jobs.concurrency']);
  await edit(() => good);
  await gateway.logged(({ msg }) => msg === 'no setting waits for the next start any more');
});

test('SIGHUP, which other services read their configuration at, disturbs nothing', TIMEOUT, async () => {
  const before = changes('plain').length;
  process.kill(gateway.pid, 'SIGHUP');
  await gateway.logged(({ signal }) => signal === 'SIGHUP');
  const { passthrough } = (await gateway.status('plain')).frames;
  await gateway.until('plain', ({ frames }) => frames.passthrough > passthrough);
  assert.equal(changes('plain').length, before);
});

test('SIGTERM with viewers: exit code 0 within 5 s, and nothing is left behind', TIMEOUT, async (t) => {
  const viewer = await openPage(browser, gateway);
  await watchWhep(viewer, gateway, 'plain');
  await readFrames(await watchHls(viewer, gateway, 'plain/index.m3u8'), 3);
  const children = await gateway.children();
  assert.ok(children.length >= 3, 'a restorer and two decoders');
  const { code, ms } = await gateway.stop();
  t.diagnostic(`stopped in ${ms.toFixed(0)} ms`);
  assert.equal(code, 0);
  assert.ok(ms < 5000);
  for (const { pid, command } of children) assert.ok(!(await isRunning(pid)), `${command[0]} still runs`);
  await always.connected(0);
});
