import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { type TestContext, test } from 'node:test';
import { promisify } from 'node:util';
import Fastify, { type FastifyInstance } from 'fastify';
import type { PublishedStream, SubscribeOptions, Subscription } from '../../../src/contracts/publish.ts';
import { launchBrowser } from '../../support/browser.ts';
import { createH264Source, type H264Source } from '../../support/h264-source.ts';
import { type HlsServer, startHls } from './server.ts';

const HLS_JS = new URL('../../../node_modules/hls.js/dist/hls.min.js', import.meta.url);

/** What the page reports of the player. */
interface Player {
  time: number;
  width: number;
  latency: number;
  errors: string[];
  parts: number;
  blocking: number;
  /** It has nothing more to show. */
  starved: boolean;
}

/** Somebody else's page, of another origin: hls.js and a video element. */
async function servePage(url: string): Promise<FastifyInstance> {
  const script = await readFile(HLS_JS);
  const app = Fastify({ forceCloseConnections: true });
  app.get('/hls.js', (_request, reply) => reply.type('text/javascript').send(script));
  app.get('/player', (_request, reply) =>
    reply
      .type('text/html')
      .send(`<!doctype html><video id=v muted autoplay></video><script src=/hls.js></script>
<script>
  const video = document.getElementById('v');
  const player = new Hls({ lowLatencyMode: true, maxLiveSyncPlaybackRate: 1.5, backBufferLength: 10 });
  const state = { errors: [], parts: 0, blocking: 0 };
  player.on(Hls.Events.ERROR, (_, { fatal, details, error }) => { if (fatal) state.errors.push(details + ': ' + error); });
  player.on(Hls.Events.FRAG_LOADED, (_, { part }) => { if (part) state.parts++; });
  player.on(Hls.Events.LEVEL_LOADING, (_, { url }) => { if (url.includes('_HLS_msn')) state.blocking++; });
  player.loadSource('${url}');
  player.attachMedia(video);
  window.read = () => ({ ...state, time: video.currentTime, width: video.videoWidth, latency: player.latency, starved: video.readyState < 3 });
</script>`),
  );
  await app.listen({ host: '127.0.0.1', port: 0 });
  return app;
}

async function play(t: TestContext, hls: HlsServer, steps: (watch: Watch) => Promise<void>): Promise<void> {
  const app = await servePage(`${hls.origin}/hls/test/index.m3u8`);
  t.after(() => app.close());
  await using browser = await launchBrowser();
  const page = await browser.context.newPage();
  await page.goto(`${app.listeningOrigin}/player`);
  const read = () => page.evaluate('window.read()') as Promise<Player>;
  const until = async (condition: string) => {
    await page.waitForFunction(
      `(({ ${'time, width, parts, blocking, starved, errors'} }) => errors.length > 0 || (${condition}))(window.read())`,
      null,
      {
        timeout: 60_000,
      },
    );
    const player = await read();
    assert.deepEqual(player.errors, []);
    return player;
  };
  await steps({ until });
  const { latency } = await read();
  t.diagnostic(`hls.js latency ${latency.toFixed(2)} s`);
}

/** A stream whose picture can be swapped for another's, as a camera's resolution change does. */
class ChangingCamera implements PublishedStream {
  readonly name = 'test';
  readonly hasAudio = true;
  #source: H264Source;
  #subscriber: SubscribeOptions | undefined;
  #subscription: Subscription | undefined;

  constructor(source: H264Source) {
    this.#source = source;
  }

  get status() {
    return this.#source.status;
  }

  subscribe(options: SubscribeOptions): Subscription {
    this.#subscriber = options;
    this.#subscription = this.#source.subscribe(options);
    return {
      requestKeyframe: () => this.#subscription?.requestKeyframe(),
      setBitrate() {},
      close: () => this.#subscription?.close(),
    };
  }

  change(source: H264Source): void {
    this.#subscription?.close();
    this.#source = source;
    this.#subscriber!.sink.discontinuity?.('picture size changed');
    this.#subscription = source.subscribe(this.#subscriber!);
    this.#subscription.requestKeyframe();
  }

  snapshot(): Promise<Uint8Array> {
    return this.#source.snapshot();
  }
}

interface Watch {
  /** Waits for a condition on the fields of Player; fails on a fatal player error. */
  until(condition: string): Promise<Player>;
}

test('hls.js in Chromium plays it part by part', { timeout: 120_000 }, async (t) => {
  const source = await createH264Source();
  await using hls = await startHls([source]);
  await play(t, hls, async ({ until }) => {
    const start = await until('time > 0');
    assert.equal(start.width, 320);
    const later = await until(`time > ${start.time + 5} && blocking >= 5`);
    assert.ok(later.parts >= 10, `${later.parts} parts`);
  });
});

test('hls.js plays on after an outage', { timeout: 120_000 }, async (t) => {
  const source = await createH264Source();
  await using hls = await startHls([source], { part: 200, segment: 1000 });
  await play(t, hls, async ({ until }) => {
    const before = await until('time > 2');
    source.stall();
    await until('starved');
    source.resume();
    await until(`time > ${before.time + 6}`);
  });
});

test('hls.js plays on when the picture size changes', { timeout: 120_000 }, async (t) => {
  const [small, large] = await Promise.all([
    createH264Source(),
    createH264Source({ width: 640, height: 360 }),
  ]);
  const camera = new ChangingCamera(small);
  await using hls = await startHls([camera], { part: 200, segment: 1000 });
  await play(t, hls, async ({ until }) => {
    assert.equal((await until('time > 1')).width, 320);
    camera.change(large);
    const after = await until('width === 640');
    await until(`time > ${after.time + 3}`);
  });
});

test('ffmpeg, a plain HLS player, plays it without a complaint', { timeout: 120_000 }, async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], { part: 200, segment: 1000 });
  const { stderr } = await promisify(execFile)('ffmpeg', [
    '-nostdin',
    '-v',
    'error', // ffmpeg 5.1 warns of its own repeating of the init segment at every reload
    '-stats',
    '-i',
    `${hls.origin}/hls/test/index.m3u8`,
    '-t',
    '5',
    '-f',
    'null',
    '-',
  ]);
  const lines = stderr.split(/[\r\n]+/).filter((line) => line !== '');
  assert.match(lines.at(-1)!, /^frame=\s*12\d /);
  assert.deepEqual(
    lines.filter((line) => !line.startsWith('frame=')),
    [],
  );
});
