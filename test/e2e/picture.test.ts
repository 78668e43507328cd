import assert from 'node:assert/strict';
import { after, before, type TestContext, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { pushRtmp } from '../support/rtmp-push.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';
import { CLIP, type DegradedClips, frameNumber, renderDegradedClips, similarity } from './degraded-clip.ts';
import {
  halves,
  leaveWhep,
  openPage,
  readFrames,
  type Shown,
  type Viewer,
  watchHls,
  watchWhep,
} from './viewer.ts';

const TIMEOUT = { timeout: 120_000 };
/** Distinct frames a verdict is about. */
const FRAMES = 20;

let clips: DegradedClips;
let gateway: RunningGateway;
let browser: Browser;
const stack = new AsyncDisposableStack();

/** A looped Matroska file behind a real RTSP server, its tracks as they are. */
function camera(file: string, payload: string, protocols?: 'tcp' | 'udp'): Promise<RtspCamera> {
  return startRtspCamera({
    launch: `( multifilesrc location=${file} loop=true ! matroskademux name=d ${payload} )`,
    ...(protocols ? { protocols } : {}),
  }).then((camera) => stack.use(camera));
}

const H264 = 'd.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1';
const H265 = 'd.video_0 ! queue ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1';
const MJPEG = 'd.video_0 ! queue ! jpegparse ! rtpjpegpay name=pay0 pt=26';
const AAC = 'd.audio_0 ! queue ! aacparse ! rtpmp4gpay name=pay1 pt=97';
const G711 = 'd.audio_0 ! queue ! rtppcmapay name=pay1 pt=8';

before(async () => {
  const directory = stack.use(await temporaryDirectory());
  clips = await renderDegradedClips(directory.path);
  const [h264, bframes, h265, mjpeg] = await Promise.all([
    camera(clips.h264, H264),
    camera(clips.bframes, `${H264} ${AAC}`, 'udp'),
    camera(clips.h265, `${H265} ${G711}`),
    camera(clips.mjpeg, MJPEG, 'tcp'),
  ]);
  const onDemand = { onDemand: true, smoothing: 0 };
  gateway = stack.use(
    await startGateway({
      streams: {
        h264: patientStream(h264.url, onDemand),
        bframes: patientStream(bframes.url, { ...onDemand, transport: 'udp' }),
        h265: patientStream(h265.url, onDemand),
        mjpeg: patientStream(mjpeg.url, onDemand),
        push: patientStream('push', { ...onDemand, key: 'secret' }),
      },
    }),
  );
  browser = stack.use(await launchBrowser());
}, TIMEOUT);
after(() => stack.disposeAsync());

async function withPage(use: (page: Page) => Promise<void>): Promise<void> {
  const page = await openPage(browser, gateway);
  try {
    await use(page);
  } finally {
    await leaveWhep(page, gateway);
    await page.close();
  }
}

/** Likeness to the clean frames by frame number, dB, by what the browser displays. */
class Judgement {
  readonly likeness = new Map<number, number>();

  judge({ luma, width, height }: Shown): void {
    assert.deepEqual([width, height], [CLIP.width, CLIP.height]);
    const number = frameNumber(luma);
    if (number !== undefined) this.likeness.set(number, similarity(luma, clips.clean(number)));
  }
}

/** Source and restored picture of the same frames, however they were watched. */
class Verdict {
  readonly source = new Judgement();
  readonly restored = new Judgement();

  get frames(): number[] {
    return [...this.restored.likeness.keys()].filter((number) => this.source.likeness.has(number));
  }

  get complete(): boolean {
    return this.frames.length >= FRAMES;
  }

  /** The restored picture is closer to the clean original than what the camera sent, by a clear margin. */
  async assertRestored(t: TestContext, stream: string): Promise<void> {
    const { frames } = this;
    const mean = ({ likeness }: Judgement) =>
      frames.reduce((sum, number) => sum + likeness.get(number)!, 0) / frames.length;
    const [source, restored] = [mean(this.source), mean(this.restored)];
    t.diagnostic(
      `luma PSNR to the clean original over ${frames.length} frames: source ${source.toFixed(2)} dB, restored ${restored.toFixed(2)} dB`,
    );
    assert.ok(source > 15, 'frames and originals are aligned');
    const { restoration, frames: counted } = await gateway.status(stream);
    assert.ok(restored > source + 0.3, JSON.stringify({ source, restored, restoration, counted }));
  }
}

/** On a host that others keep busy a stream passes through until there is room. */
async function untilRestored(stream: string): Promise<void> {
  await gateway.until(stream, ({ restoration }) => restoration?.model === 'lite');
}

/** Watches the two renditions of a stream beside each other. */
async function judgeBoth(stream: string, source: Viewer, restored: Viewer): Promise<Verdict> {
  await untilRestored(stream);
  const verdict = new Verdict();
  while (!verdict.complete) {
    const [sources, restoreds] = await Promise.all([
      readFrames(source, FRAMES),
      readFrames(restored, FRAMES),
    ]);
    for (const frame of sources) verdict.source.judge(frame);
    for (const frame of restoreds) verdict.restored.judge(frame);
  }
  return verdict;
}

/** Judges both halves of the very same pictures of a stream. */
async function judgeCompare(stream: string, viewer: Viewer): Promise<Verdict> {
  await untilRestored(stream);
  const verdict = new Verdict();
  let apart = 0;
  while (!verdict.complete) {
    for (const frame of await readFrames(viewer, FRAMES)) {
      const { source, restored } = halves(frame);
      const number = frameNumber(source.luma);
      if (number === undefined) continue;
      // A frame damaged on its way to us may be mended in one half only.
      if (frameNumber(restored.luma) !== number) apart += 1;
      verdict.source.judge(source);
      verdict.restored.judge(restored);
    }
  }
  assert.ok(apart <= FRAMES / 10, `${apart} pictures show two different frames`);
  return verdict;
}

test('WHEP: the restored rendition is closer to the clean original than the source rendition', TIMEOUT, (t) =>
  withPage(async (page) => {
    const source = await watchWhep(page, gateway, 'h264?rendition=source', { name: 'source' });
    const restored = await watchWhep(page, gateway, 'h264', { name: 'restored' });
    await (await judgeBoth('h264', source, restored)).assertRestored(t, 'h264');
    const { input, frames } = await gateway.status('h264');
    assert.equal(input?.codec, 'h264');
    assert.ok(frames.restored >= FRAMES);
  }),
);

for (const [stream, what] of [
  ['bframes', 'H.264 with B-frames and AAC over UDP'],
  ['h265', 'H.265 with G.711'],
  ['mjpeg', 'MJPEG'],
] as const) {
  test(`WHEP: ${what}: restored beats source in the same frames`, TIMEOUT, (t) =>
    withPage(async (page) => {
      const viewer = await watchWhep(page, gateway, `${stream}?rendition=compare`);
      await (await judgeCompare(stream, viewer)).assertRestored(t, stream);
    }),
  );
}

test('LL-HLS in hls.js: restored beats source in the same frames', TIMEOUT, (t) =>
  withPage(async (page) => {
    const viewer = await watchHls(page, gateway, 'h264/index.m3u8?rendition=compare');
    await (await judgeCompare('h264', viewer)).assertRestored(t, 'h264');
  }),
);

test('RTMP push: restored beats source in the same frames', TIMEOUT, (t) =>
  withPage(async (page) => {
    await using _pusher = pushRtmp(`rtmp://127.0.0.1:${gateway.rtmpPort}/live/push?key=secret`, {
      file: clips.flv,
    });
    const viewer = await watchWhep(page, gateway, 'push?rendition=compare');
    await (await judgeCompare('push', viewer)).assertRestored(t, 'push');
  }),
);
