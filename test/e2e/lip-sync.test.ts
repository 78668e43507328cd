import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { runFfmpeg, startFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { pushRtmp } from '../support/rtmp-push.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

const TIMEOUT = { timeout: 120_000 };
/** What lips may be off, ms. */
const BOUND = 40;
const EVENTS = 6;

/**
 * Every second, at the same instant, pictures turn white and a 1 kHz tone begins. White stays for half the second: a
 * busy host drops some pictures in a row, and must not drop the whole flash.
 */
const FLASH = "color=black:size=160x120:rate=25,drawbox=c=white:t=fill:enable='lt(mod(t,1),0.5)'";
const BEEP = "aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.12)':s=48000:c=mono";

let gateway: RunningGateway;
let directory: string;
const stack = new AsyncDisposableStack();

/** A minute of flashes and beeps. */
async function render(name: string, ...audio: string[]): Promise<string> {
  const file = join(directory, name);
  await runFfmpeg([
    ...['-f', 'lavfi', '-i', FLASH, '-f', 'lavfi', '-i', BEEP, '-t', '60'],
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-pix_fmt', 'yuv420p', '-g', '25'],
    // rtph264pay repeats SPS and PPS before every slice of an IDR picture, which makes two pictures of two slices.
    ...['-x264-params', 'sliced-threads=0'],
    ...['-c:a', ...audio, file],
  ]);
  return file;
}

before(async () => {
  directory = stack.use(await temporaryDirectory()).path;
  const file = await render('camera.mkv', 'pcm_alaw', '-ar', '8000', '-ac', '1');
  const h264 = 'd.video_0 ! queue ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1';
  const g711 = 'd.audio_0 ! queue ! rtppcmapay name=pay1 pt=8';
  const camera = stack.use(
    await startRtspCamera({
      launch: `( multifilesrc location=${file} loop=true ! matroskademux name=d ${h264} ${g711} )`,
    }),
  );
  gateway = stack.use(
    await startGateway({
      streams: {
        rtsp: patientStream(camera.url, { onDemand: true }),
        rtmp: patientStream('push', { key: 'secret' }),
      },
    }),
  );
  const flv = await render('push.flv', 'aac');
  stack.use(pushRtmp(`rtmp://127.0.0.1:${gateway.rtmpPort}/live/rtmp?key=secret`, { file: flv }));
}, TIMEOUT);
after(() => stack.disposeAsync());

/** Seconds at which pictures turn white and the tone begins in a recording. */
async function onsets(recording: string): Promise<{ flashes: number[]; beeps: number[] }> {
  await using child = startFfmpeg([
    ...['-v', 'info', '-i', recording, '-vf', 'scale=2:2,showinfo'],
    ...['-af', 'silencedetect=noise=-20dB:d=0.2', '-f', 'null', '-'],
  ]);
  let log = '';
  child.stderr.on('data', (text: string) => {
    log += text;
  });
  assert.equal((await child.closed).code, 0, child.log());
  const pictures = [...log.matchAll(/pts_time:(\S+).*?mean:\[(\d+)/g)].map(([, time, mean]) => ({
    time: Number(time),
    white: Number(mean) > 128,
  }));
  const flashes = pictures.filter(({ white }, i) => white && pictures[i - 1]?.white === false);
  return {
    flashes: flashes.map(({ time }) => time),
    beeps: [...log.matchAll(/silence_end: (\S+)/g)].map(([, time]) => Number(time)),
  };
}

/** Picture before sound, ms, of every flash that has its beep within half a second. */
function pair({ flashes, beeps }: Awaited<ReturnType<typeof onsets>>): number[] {
  return flashes.flatMap((flash) => {
    const beep = beeps.find((time) => Math.abs(time - flash) < 0.5);
    return beep === undefined ? [] : [Math.round((beep - flash) * 1000)];
  });
}

function assertInStep(t: TestContext, found: Awaited<ReturnType<typeof onsets>>, log: string): void {
  const offsets = pair(found);
  t.diagnostic(`sound after picture, ms: ${offsets.join(' ')}`);
  const missing = `${offsets.length} events of ${JSON.stringify(found)}; player: ${log}`;
  assert.ok(offsets.length >= EVENTS, missing);
  const median = offsets.toSorted((a, b) => a - b)[offsets.length >> 1]!;
  assert.ok(Math.abs(median) <= BOUND, `median ${median} ms`);
}

for (const [stream, what] of [
  ['rtsp', 'RTSP with G.711'],
  ['rtmp', 'an RTMP push with AAC'],
] as const) {
  test(`${what}: picture and sound leave over HLS within ${BOUND} ms of each other`, TIMEOUT, async (t) => {
    const recording = join(directory, `${stream}.mkv`);
    const playlist = `${gateway.url}/hls/${stream}/index.m3u8`;
    const log = await runFfmpeg(['-i', playlist, '-t', String(EVENTS + 2), '-c', 'copy', recording]);
    assertInStep(t, await onsets(recording), log);
  });
}
