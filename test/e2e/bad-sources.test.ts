import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import { join } from 'node:path';
import { after, before, describe, type TestContext, test } from 'node:test';
import type { StreamConfigInput } from '../../src/config/schema.ts';
import type { ErrorCode } from '../../src/contracts/errors.ts';
import { flipBits, noise, startHttpCamera, startSilentCamera } from '../support/bad-cameras.ts';
import { renderClip, runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';

const TIMEOUT = { timeout: 120_000 };
const CHUNK_MS = 40;

let gateway: RunningGateway;
let rebooting: RtspCamera;
const stack = new AsyncDisposableStack();

/** What a source that gives no picture must be called. */
const REFUSED: Record<string, { what: string; code: ErrorCode }> = {
  password: { what: 'wrong credentials', code: 'CLEARWAY_SOURCE_UNAUTHORIZED' },
  host: { what: 'an unknown host', code: 'CLEARWAY_SOURCE_UNREACHABLE' },
  port: { what: 'a port nothing listens on', code: 'CLEARWAY_SOURCE_UNREACHABLE' },
  path: { what: 'a path the camera does not have', code: 'CLEARWAY_SOURCE_NOT_FOUND' },
  webpage: { what: 'a web page', code: 'CLEARWAY_SOURCE_NOT_VIDEO' },
  garbage: { what: 'garbage', code: 'CLEARWAY_SOURCE_NOT_VIDEO' },
  sound: { what: 'sound without a picture', code: 'CLEARWAY_SOURCE_NO_VIDEO' },
  huge: { what: 'a 16000x9000 picture', code: 'CLEARWAY_PICTURE_SIZE' },
  silent: { what: 'a camera that accepts and never sends', code: 'CLEARWAY_SOURCE_STALLED' },
};

/** Sources with something wrong that give a picture all the same: it comes, on one connection. */
const TOLERATED: Record<string, string> = {
  damaged: 'bit-flipped and truncated H.264',
  jumps: 'timestamps that jump back and forth and wrap at 33 bits',
  resizes: 'a resolution that changes mid-stream',
  tiny: 'a 1x1 picture',
  fast: '200 frames a second',
};

/** Sends MPEG-TS at its own pace, over and over, as a camera that never ends. */
function paced(ts: Uint8Array, seconds: number): RequestListener {
  const chunk = Math.ceil(ts.length / ((seconds * 1000) / CHUNK_MS));
  return (_request, response) => {
    let at = 0;
    const timer = setInterval(() => {
      response.write(ts.subarray(at, at + chunk));
      at = at + chunk >= ts.length ? 0 : at + chunk;
    }, CHUNK_MS);
    response.on('close', () => clearInterval(timer));
  };
}

/** A source for each of them, by name. */
async function sources(directory: string): Promise<Record<string, string>> {
  const clip = (name: string, options: Parameters<typeof renderClip>[1]) =>
    renderClip(join(directory, name), { size: '160x120', gop: 25, ...options }).then((file) =>
      readFile(file),
    );
  const http = async (answer: Uint8Array | string | RequestListener, type?: string) =>
    stack.use(await startHttpCamera(answer, type)).url;
  const rtsp = async (options: Parameters<typeof startRtspCamera>[0]) =>
    stack.use(await startRtspCamera({ width: 160, height: 120, ...options }));

  const guarded = await rtsp({ auth: { user: 'admin', password: 'right' } });
  const plain = await rtsp({});
  const silent = stack.use(await startSilentCamera());
  const file = (name: string) => join(directory, name);
  await runFfmpeg(['-f', 'lavfi', '-i', 'sine', '-t', '2', '-c:a', 'aac', file('sound.ts')]);
  const still = (name: string, size: string) =>
    runFfmpeg(['-f', 'lavfi', '-i', `testsrc=size=${size}`, '-frames:v', '1', '-c:v', 'mjpeg', file(name)]);
  await still('huge.jpg', '16000x9000');
  await still('tiny.jpg', '1x1');
  const steady = await clip('steady.ts', { seconds: 4 });
  // 2^33 ticks of 90 kHz are 95443.7 s: the clock wraps in the middle, and every repetition jumps back.
  const shift = ['-i', file('steady.ts'), '-c', 'copy', '-muxdelay', '0', '-output_ts_offset', '95441.7'];
  await runFfmpeg([...shift, file('wrap.ts')]);
  await runFfmpeg(['-i', file('steady.ts'), '-c', 'copy', '-output_ts_offset', '1000', file('later.ts')]);
  const jumps = Buffer.concat([await readFile(file('wrap.ts')), await readFile(file('later.ts'))]);
  const small = await clip('small.ts', { seconds: 2 });
  const large = await clip('large.ts', { seconds: 2, size: '240x160' });
  const tiny = await readFile(file('tiny.jpg'));
  const boundary = Buffer.from(
    `--frame\r\nContent-Type: image/jpeg\r\nContent-Length: ${tiny.length}\r\n\r\n`,
  );
  const part = Buffer.concat([boundary, tiny, Buffer.from('\r\n')]);
  const damaged = flipBits(steady, 3000, 20_000);
  return {
    healthy: plain.url,
    password: guarded.url.replace('right', 'hunter2'),
    host: 'rtsp://camera.invalid/live',
    port: `rtsp://127.0.0.1:${await freePort()}/live`,
    path: plain.url.replace('/live', '/nothing'),
    webpage: await http(`<!doctype html><title>Camera</title>${'<p>Log in'.repeat(1000)}`, 'text/html'),
    garbage: await http(noise(200_000)),
    sound: await http(await readFile(file('sound.ts'))),
    huge: await http(await readFile(file('huge.jpg')), 'image/jpeg'),
    silent: `rtsp://127.0.0.1:${silent.port}/live`,
    damaged: await http(paced(damaged.subarray(0, damaged.length - 1000), 4), 'video/mp2t'),
    jumps: await http(paced(jumps, 8), 'video/mp2t'),
    resizes: await http(paced(Buffer.concat([small, large]), 4), 'video/mp2t'),
    tiny: await http((_request, response) => {
      response.writeHead(200, { 'content-type': 'multipart/x-mixed-replace; boundary=frame' });
      const timer = setInterval(() => response.write(part), CHUNK_MS);
      response.on('close', () => clearInterval(timer));
    }),
    fast: (await rtsp({ width: 64, height: 48, rate: 200, gop: 200 })).url,
    reboots: rebooting.url,
  };
}

before(async () => {
  const directory = stack.use(await temporaryDirectory());
  rebooting = await startRtspCamera({ width: 160, height: 120 });
  stack.defer(() => rebooting[Symbol.asyncDispose]());
  const all = Object.entries(await sources(directory.path));
  // Only what is expected to give pictures stays connected when nobody looks.
  const streams = Object.fromEntries(
    all.map(([name, source]): [string, StreamConfigInput] => [
      name,
      patientStream(source, { enabled: false }),
    ]),
  );
  gateway = stack.use(await startGateway({ streams }));
  await switchOn('healthy');
}, TIMEOUT);
after(() => stack.disposeAsync());

async function switchOn(name: string, enabled = true): Promise<void> {
  const { status, body } = await gateway.api('PATCH', `/api/v1/streams/${name}`, { enabled });
  assert.equal(status, 200, JSON.stringify(body));
}

/** The stream publishes frames after this moment. */
async function publishes(name: string, more: number): Promise<void> {
  const published = ({ restored, passthrough }: { restored: number; passthrough: number }) =>
    restored + passthrough;
  const before = published((await gateway.status(name)).frames);
  await gateway.until(name, ({ frames }) => published(frames) >= before + more);
}

/** Runs one stream beside the healthy one, which must not notice. */
async function besideHealthy(name: string, check: () => Promise<void>): Promise<void> {
  await publishes('healthy', 1);
  const before = gateway.log.length;
  await switchOn(name);
  await check();
  await publishes('healthy', 10);
  await switchOn(name, false);
  const noticed = gateway.log.slice(before).filter(({ stream }) => stream === 'healthy');
  assert.deepEqual(noticed, []);
}

describe('beside a healthy stream', { concurrency: 6, ...TIMEOUT }, () => {
  for (const [name, { what, code }] of Object.entries(REFUSED)) {
    test(`${what} is named, and tried again`, (t: TestContext) =>
      besideHealthy(name, async () => {
        const { state, error, retryAt } = await gateway.until(name, ({ error }) => error !== undefined);
        t.diagnostic(error!.message);
        assert.equal(error!.code, code);
        assert.equal(state, 'backoff');
        assert.ok(retryAt);
      }));
  }

  for (const [name, what] of Object.entries(TOLERATED)) {
    test(`${what}: the picture goes on`, (t: TestContext) =>
      besideHealthy(name, async () => {
        await publishes(name, 230);
        const { reconnects, frames, restoration } = await gateway.status(name);
        t.diagnostic(JSON.stringify({ ...frames, width: restoration?.width }));
        assert.equal(reconnects, 0, 'on one connection');
        if (name !== 'resizes') return;
        for (const width of [160, 240])
          await gateway.until(name, (status) => status.restoration?.width === width);
      }));
  }

  test('a camera that reboots every few seconds comes back each time', () =>
    besideHealthy('reboots', async () => {
      for (let boot = 1; boot <= 3; boot++) {
        await gateway.until('reboots', ({ state }) => state === 'live');
        await publishes('reboots', 25);
        await rebooting.kill();
        await gateway.until('reboots', ({ state }) => state === 'backoff');
        rebooting = await startRtspCamera({ width: 160, height: 120, port: rebooting.port });
      }
      await gateway.until('reboots', ({ state }) => state === 'live');
    }));
});

test('no password is in the log or in the API', async () => {
  assert.doesNotMatch(JSON.stringify(gateway.log), /hunter2/);
  assert.doesNotMatch(JSON.stringify(await gateway.api('GET', '/api/v1/streams')), /hunter2/);
});
