import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import type { DecodedAudio, DecodedFrame } from '../../src/codec/decoder-process.ts';
import { openDecoder } from '../../src/codec/decoders.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { flipBits, startHttpCamera } from '../support/bad-cameras.ts';
import { decodeFrames } from '../support/decode.ts';
import { renderClip, runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

const ascending = (values: number[]) => values.every((value, i) => i === 0 || value > values[i - 1]!);

for (const codec of ['h264', 'h265', 'mjpeg'] as const) {
  for (const transport of ['tcp', 'udp'] as const) {
    test(`${codec} over RTSP ${transport}`, async () => {
      await using camera = await startRtspCamera({ codec });
      const { frames, info, error } = await decodeFrames(camera.url, 40, { transport });
      assert.equal(error, undefined);
      assert.deepEqual([info.width, info.height, info.codec], [320, 240, codec === 'h265' ? 'hevc' : codec]);
      assert.equal(info.hasAudio, false);
      const pts = frames.slice(5).map((frame) => frame.pts);
      assert.ok(ascending(pts), `timestamps ${pts}`);
      assert.equal(frames.at(-1)!.data.length, (320 * 240 * 3) / 2);
    });
  }
}

for (const audio of ['aac', 'alaw', 'mulaw', 'opus'] as const) {
  test(`${audio} audio comes along as 48 kHz stereo on the same clock`, async () => {
    await using camera = await startRtspCamera({ audio });
    const { frames, audio: chunks } = await decodeFrames(camera.url, 0, {
      until: ({ audio, frames }) => audio.length > 40 && frames.length > 20,
    });
    for (const { data, samples } of chunks) assert.equal(data.length, samples * 4);
    const first = chunks[20]!;
    const last = chunks.at(-1)!;
    const samples = chunks.slice(20, -1).reduce((sum, chunk) => sum + chunk.samples, 0);
    const seconds = (last.pts - first.pts) / 90_000;
    assert.ok(Math.abs(samples / 48_000 - seconds) < 0.02, `${samples} samples in ${seconds} s`);
    assert.ok(Math.abs(last.pts - frames.at(-1)!.pts) < 2 * 90_000, 'audio and video share a clock');
    const loudest = Math.max(...new Int16Array(last.data.slice().buffer));
    assert.ok(loudest > 1000, 'the tone is there');
  });
}

test("RTSP over TLS, with a certificate of the camera's own making", async () => {
  await using directory = await temporaryDirectory();
  const cert = join(directory.path, 'camera.pem');
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=camera'];
  await promisify(execFile)('openssl', [...request, '-keyout', cert, '-out', `${cert}.crt`]);
  await appendFile(cert, await readFile(`${cert}.crt`));
  await using camera = await startRtspCamera({ cert });
  assert.match(camera.url, /^rtsps:/);
  const { frames, error } = await decodeFrames(camera.url, 5);
  assert.equal(error, undefined);
  assert.equal(frames.length, 5);
});

test('a camera that reboots is back with the next connection', async () => {
  const first = await startRtspCamera();
  await decodeFrames(first.url, 5);
  await first.kill();
  await using second = await startRtspCamera({ port: first.port });
  assert.equal((await decodeFrames(second.url, 5)).frames.length, 5);
});

test('a camera of one picture a second is seen after its first, not its seventh', async () => {
  await using camera = await startRtspCamera({ rate: 1 });
  const { frames, error } = await decodeFrames(camera.url, 1, { connectTimeout: 6 });
  assert.equal(error, undefined);
  assert.equal(frames.length, 1);
});

test('audio is left out when it is not wanted', async () => {
  await using camera = await startRtspCamera({ audio: 'aac' });
  const { audio, info } = await decodeFrames(camera.url, 30, { audio: false });
  assert.equal(audio.length, 0);
  assert.equal(info.hasAudio, false);
});

test('every frame has the arrival of its own packet, B-frames too', async () => {
  await using camera = await startRtspCamera({ bframes: 2 });
  const { frames, packets } = await decodeFrames(camera.url, 60);
  const steady = packets.slice(10);
  assert.ok(!ascending(steady.map(({ pts }) => pts!)), 'the camera sends B-frames');
  const arrivals = new Map(steady.map(({ pts, arrival }) => [pts, arrival]));
  const checked = frames.slice(15);
  assert.ok(ascending(checked.map(({ pts }) => pts)), 'frames come in display order');
  for (const { pts, arrival } of checked) assert.equal(arrival, arrivals.get(pts), `frame ${pts}`);
});

test('pictures are bit for bit what ffmpeg decodes', async () => {
  await using directory = await temporaryDirectory();
  const clip = await renderClip(join(directory.path, 'clip.mp4'), {
    bframes: 2,
    audio: 'aac',
    size: '176x144',
  });
  const reference = join(directory.path, 'reference.yuv');
  await runFfmpeg(['-i', clip, '-map', '0:v', '-fps_mode', 'passthrough', '-f', 'rawvideo', reference]);
  const { frames } = await decodeFrames(`file:${clip}`, 50);
  assert.ok(Buffer.concat(frames.map(({ data }) => data)).equals(await readFile(reference)));
});

const SIZES = [
  { name: 'odd sizes lose their last row and column', size: '321x241', expected: [320, 240] },
  { name: 'a picture of one line grows to what codecs take', size: '1x1', expected: [16, 16] },
  { name: 'more lines than wanted are scaled down', size: '640x360', height: 180, expected: [320, 180] },
  { name: 'no picture is scaled up', size: '320x180', height: 720, expected: [320, 180] },
  { name: 'pixels become square', size: '352x288', sar: '16/11', expected: [512, 288] },
];
for (const { name, size, height, sar, expected } of SIZES) {
  test(name, async () => {
    const graph = `lavfi:testsrc=size=${size}:rate=25${sar ? `,setsar=${sar}` : ''}`;
    const { frames, info } = await decodeFrames(graph, 3, height ? { height } : {});
    const last = frames.at(-1)!;
    assert.deepEqual([last.width, last.height], expected);
    assert.equal(last.data.length, (last.width * last.height * 3) / 2);
    assert.equal(`${info.width}x${info.height}`, size, 'what the camera sends is said');
  });
}

test('full-range MJPEG becomes limited range', async () => {
  await using directory = await temporaryDirectory();
  const clip = await renderClip(join(directory.path, 'white.mkv'), {
    codec: 'mjpeg',
    pattern: 'color=white:size=64x64:rate=25',
  });
  const { frames } = await decodeFrames(`file:${clip}`, 1);
  const luma = frames[0]!.data[0]!;
  assert.ok(luma >= 233 && luma <= 236, `white is ${luma}`);
});

test('a camera that changes resolution goes on in the new size without a restart', async () => {
  await using directory = await temporaryDirectory();
  const part = (name: string, size: string) =>
    renderClip(join(directory.path, name), { size, seconds: 1, gop: 25 });
  const parts = [await part('a.ts', '320x240'), await part('b.ts', '240x320'), await part('c.ts', '640x360')];
  const body = Buffer.concat(await Promise.all(parts.map((file) => readFile(file))));
  await using camera = await startHttpCamera(body, 'video/mp2t');
  const { frames, infos } = await decodeFrames(camera.url, Number.POSITIVE_INFINITY);
  const sizes = [...new Set(frames.map(({ width, height }) => `${width}x${height}`))];
  assert.deepEqual(sizes, ['320x240', '240x320', '640x360']);
  assert.deepEqual(
    infos.map(({ width, height }) => `${width}x${height}`),
    sizes,
  );
  for (const [i, file] of parts.entries()) {
    const shown = frames.filter(({ width, height }) => `${width}x${height}` === sizes[i]);
    assert.equal(shown.length, 25, `pictures of ${sizes[i]}`);
    const { frames: alone } = await decodeFrames(`file:${file}`, 1);
    assert.ok(
      Buffer.from(alone[0]!.data).equals(shown[0]!.data),
      `the first picture of ${sizes[i]} is whole`,
    );
  }
});

test('the height changes while a source is open: no picture is lost, and sound goes on', async () => {
  await using camera = await startRtspCamera({ audio: 'aac' });
  const frames: DecodedFrame[] = [];
  const audio: DecodedAudio[] = [];
  const heights = [120, 180, 240, 60];
  const changed = Promise.withResolvers<void>();
  await using decoder = openDecoder(
    { url: camera.url, transport: 'tcp', audio: true, stallTimeout: 20 },
    { height: 60, logger: silentLogger },
    {
      allocate: (bytes) => new Uint8Array(bytes),
      frame(frame) {
        frames.push(frame);
        const settled = frames.slice(-10);
        if (settled.length < 10 || settled.some(({ height }) => height !== (asked ?? 60))) return;
        asked = heights.shift();
        if (asked === undefined) changed.resolve();
        else decoder.setHeight(asked);
      },
      dropped() {},
      audio: (piece) => void audio.push(piece),
      opened() {},
      ended: ({ error }) => changed.reject(error),
    },
  );
  let asked: number | undefined;
  await changed.promise;
  const sizes = frames.map(({ width, height }) => `${width}x${height}`);
  assert.deepEqual(
    sizes.filter((size, i) => size !== sizes[i - 1]),
    ['80x60', '160x120', '240x180', '320x240', '80x60'],
  );
  for (const { data, width, height } of frames) assert.equal(data.length, (width * height * 3) / 2);
  const pts = frames.slice(5).map((frame) => frame.pts);
  assert.ok(
    pts.every((value, i) => i === 0 || value - pts[i - 1]! < 2 * 3600),
    `a picture is missing: ${pts}`,
  );
  const ends = audio.slice(5).map(({ pts, samples }) => ({ pts, end: pts + (samples * 90) / 48 }));
  assert.ok(ends.length > 20 && ends.every(({ pts }, i) => i === 0 || Math.abs(pts - ends[i - 1]!.end) < 90));
});

test('a camera that changes resolution keeps the height it was told since', async () => {
  await using directory = await temporaryDirectory();
  const part = async (name: string, size: string, seconds: number) =>
    readFile(await renderClip(join(directory.path, name), { size, seconds, gop: 25 }));
  const body = Buffer.concat([await part('a.ts', '320x240', 5), await part('b.ts', '240x320', 4)]);
  await using camera = await startHttpCamera((_request, response) => {
    let sent = 0;
    const timer = setInterval(() => {
      if (sent < body.length) response.write(body.subarray(sent, sent + body.length / 45));
      sent += body.length / 45;
    }, 100);
    response.on('close', () => clearInterval(timer));
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const sizes: string[] = [];
  await using decoder = openDecoder(
    { url: camera.url, transport: 'auto', audio: false, stallTimeout: 20 },
    { height: 240, logger: silentLogger },
    {
      allocate: (bytes) => new Uint8Array(bytes),
      frame({ width, height }) {
        const size = `${width}x${height}`;
        if (sizes.at(-1) !== size) sizes.push(size);
        if (size === '90x120') resolve();
      },
      dropped() {},
      opened: () => decoder.setHeight(120),
      ended: ({ error }) => reject(error),
    },
  );
  await promise;
  assert.ok(sizes.includes('160x120'), `${sizes}`);
});

test('bit-flipped and truncated H.264 drops frames, not the stream', async () => {
  await using directory = await temporaryDirectory();
  const clip = await readFile(await renderClip(join(directory.path, 'a.ts'), { seconds: 4 }));
  const damaged = flipBits(clip, 3000, 20_000);
  await using camera = await startHttpCamera(damaged.subarray(0, damaged.length - 1000), 'video/mp2t');
  const { frames, error } = await decodeFrames(camera.url, Number.POSITIVE_INFINITY);
  assert.ok(frames.length > 25, `${frames.length} frames survived`);
  assert.equal(error?.code, 'CLEARWAY_SOURCE_ENDED');
});

test('HLS segments whose names read like pictures are no pictures', async () => {
  await using directory = await temporaryDirectory();
  const clip = await readFile(await renderClip(join(directory.path, 'a.ts'), { seconds: 1, size: '64x48' }));
  const name = (n: number) => `${n}.ts?n:${n} pts:0 pts_time:0 fmt:yuv420p s:9998x9998 i:P`;
  const list = [0, 1, 2].map((n) => `#EXTINF:1,\n${name(n)}\n`).join('');
  await using camera = await startHttpCamera(({ url }, response) =>
    response.end(url === '/list.m3u8' ? `#EXTM3U\n#EXT-X-TARGETDURATION:1\n${list}#EXT-X-ENDLIST\n` : clip),
  );
  const { frames } = await decodeFrames(`${camera.url}list.m3u8`, 70);
  assert.equal(frames.length, 70);
});

test('a camera clock that jumps back keeps its own timestamps', async () => {
  await using directory = await temporaryDirectory();
  const flv = await readFile(await renderClip(join(directory.path, 'a.flv'), { seconds: 3 }));
  await using camera = await startHttpCamera(
    shiftFlv(flv, (ms) => (ms < 1000 ? ms + 60_000 : ms)),
    'video/x-flv',
  );
  const { frames } = await decodeFrames(camera.url, Number.POSITIVE_INFINITY);
  assert.equal(frames.length, 75);
  const jumps = frames.filter(({ pts }, i) => i > 0 && pts < frames[i - 1]!.pts - 5 * 90_000);
  assert.equal(jumps.length, 1);
  assert.ok(ascending(frames.slice(26).map(({ pts }) => pts)));
});

test('MJPEG over HTTP has no clock of its own and takes that of arrival', async () => {
  await using directory = await temporaryDirectory();
  const jpeg = await readFile(
    await renderClip(join(directory.path, 'a.mjpeg'), { codec: 'mjpeg', seconds: 0.04 }),
  );
  await using camera = await startHttpCamera((_request, response) => {
    response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace;boundary=frame' });
    const timer = setInterval(() => {
      response.write(`--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${jpeg.length}\r\n\r\n`);
      response.write(jpeg);
      response.write('\r\n');
    }, 100);
    response.on('close', () => clearInterval(timer));
  });
  const { frames, info } = await decodeFrames(camera.url, 12);
  assert.equal(info.codec, 'mjpeg');
  const first = frames[0]!;
  for (const { pts, arrival } of frames.slice(1)) {
    assert.ok(Math.abs(pts - first.pts - (arrival - first.arrival) * 90) <= 90, `${pts}`);
  }
});

test('frames without a buffer are counted and the next ones are whole', async () => {
  let asked = 0;
  let dropped = 0;
  const frames: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  await using _decoder = openDecoder(
    { url: 'lavfi:color=gray:size=64x64:rate=100', transport: 'auto', audio: false, stallTimeout: 20 },
    { logger: silentLogger },
    {
      allocate: (bytes) => (asked++ % 2 ? undefined : new Uint8Array(bytes)),
      frame({ data }) {
        assert.ok(data.subarray(0, 64 * 64).every((luma) => luma === data[0]));
        frames.push(data[0]!);
        if (frames.length === 10) resolve();
      },
      dropped() {
        dropped += 1;
      },
      opened() {},
      ended({ error }) {
        assert.fail(error);
      },
    },
  );
  await promise;
  assert.ok(dropped >= 9);
});

test('a source that cannot be started ends by itself', async () => {
  const { error } = await decodeFrames('rtsp://127.0.0.1/\0', 1);
  assert.equal(error?.code, 'CLEARWAY_INTERNAL');
  const { frames } = await decodeFrames('lavfi:color=gray:size=64x64:rate=100', 1);
  assert.equal(frames.length, 1);
});

test('an owner that was busy gets every picture, in order, and can end the source while it is behind', async () => {
  const pts: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const busy = () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 400);
  await using _decoder = openDecoder(
    { url: 'lavfi:color=gray:size=64x64:rate=100', transport: 'auto', audio: false, stallTimeout: 20 },
    { logger: silentLogger },
    {
      allocate: (bytes) => new Uint8Array(bytes),
      frame(frame) {
        pts.push(frame.pts);
        // Longer than it takes for as many pictures as are read ahead.
        if (pts.length === 5) busy();
        if (pts.length < 60) return;
        busy();
        resolve();
      },
      dropped: assert.fail,
      opened() {},
      ended: ({ error }) => assert.fail(error),
    },
  );
  await promise;
  assert.deepEqual(
    pts,
    pts.map((_, index) => index * 900),
  );
});

/** Rewrites the timestamps of an FLV file's tags (Adobe FLV 10.1, E.4.1). */
function shiftFlv(flv: Buffer, shift: (ms: number) => number): Buffer {
  const copy = Buffer.from(flv);
  for (let at = 13; at + 11 < copy.length; at += copy.readUIntBE(at + 1, 3) + 15) {
    const ms = shift(copy.readUIntBE(at + 4, 3) + (copy[at + 7]! << 24));
    copy.writeUIntBE(ms & 0xffffff, at + 4, 3);
    copy[at + 7] = ms >>> 24;
  }
  return copy;
}
