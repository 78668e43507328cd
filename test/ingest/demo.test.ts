import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { Attempts } from '../../src/http/attempts.ts';
import { createDemoCamera } from '../../src/ingest/demo.ts';
import { DEMO_FRAMES, renderDemoClip } from '../../src/ingest/demo-clip.ts';
import { HEIGHT, WIDTH } from '../../src/ingest/demo-scene.ts';
import { RtmpServer } from '../../src/ingest/rtmp.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { decodeFrames } from '../support/decode.ts';
import { demoFrameNumber, psnr } from '../support/demo.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';

test('the demo camera pushes its degraded loop over RTMP, frame by frame that of the clean one', async () => {
  await using directory = await temporaryDirectory();
  const clip = await renderDemoClip(directory.path, true);
  const raw = join(directory.path, 'clean.yuv');
  await runFfmpeg(['-i', clip.clean!, '-f', 'rawvideo', raw]);
  const clean = await readFile(raw);
  const luma = WIDTH * HEIGHT;
  assert.equal(clean.length, DEMO_FRAMES * luma * 1.5);

  const server = new RtmpServer({
    attempts: new Attempts(10, 60_000),
    config: { host: '127.0.0.1', port: 0 },
    lookup: (name) => (name === 'demo' ? { key: 'secret' } : undefined),
    logger: silentLogger,
  });
  await server.listen();
  const published = once(server, 'published');
  const camera = createDemoCamera({
    pushUrl: server.pushUrl('demo', 'secret'),
    logger: silentLogger,
    directory: directory.path,
  });
  await camera.start();
  await published;
  const { frames, info, audio } = await decodeFrames(server.playUrl('demo'), 60);
  await camera.stop();
  await server.close();

  assert.deepEqual([info.width, info.height, info.codec, info.fps], [WIDTH, HEIGHT, 'h264', 25]);
  assert.ok(audio.length > 0);
  let previous: number | undefined;
  for (const { data } of frames) {
    const number = demoFrameNumber({ data, width: WIDTH, height: HEIGHT });
    assert.ok(number !== undefined, 'the frame code is legible');
    if (previous !== undefined) assert.equal(number, (previous + 1) % DEMO_FRAMES);
    previous = number;
    const original = clean.subarray(number * luma * 1.5, number * luma * 1.5 + luma);
    const quality = psnr(data.subarray(0, luma), original);
    assert.ok(quality > 22 && quality < 32, `frame ${number}: ${quality} dB from the clean one`);
  }
});

test('the scene repeats without a seam', async () => {
  await using directory = await temporaryDirectory();
  const { clean } = await renderDemoClip(directory.path, true);
  const raw = join(directory.path, 'clean.yuv');
  await runFfmpeg([
    '-i',
    clean!,
    '-vf',
    `select='eq(n,0)+eq(n,1)+eq(n,${DEMO_FRAMES - 1})'`,
    '-fps_mode',
    'passthrough',
    '-f',
    'rawvideo',
    raw,
  ]);
  const bytes = await readFile(raw);
  const size = WIDTH * HEIGHT * 1.5;
  const frame = (i: number) => bytes.subarray(i * size, i * size + WIDTH * 340);
  const step = psnr(frame(0), frame(1));
  const seam = psnr(frame(2), frame(0));
  assert.ok(Math.abs(step - seam) < 2, `one frame to the next ${step} dB, over the seam ${seam} dB`);
});
