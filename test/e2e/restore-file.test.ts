import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { ffprobe, packetHashes } from '../support/ffprobe.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { problem, RestoreClient } from '../support/restore-client.ts';

const TIMEOUT = { timeout: 120_000 };

const stack = new AsyncDisposableStack();
let directory: string;
let gateway: RunningGateway;
let client: RestoreClient;
let clip: string;
/** Longer than a test looks at it. */
let long: string;

/** What is on disk of jobs, by job. */
async function filesOf(id: string): Promise<string[]> {
  return (await readdir(join(directory, 'data/jobs/files', id)).catch(() => [])).sort();
}

before(async () => {
  directory = stack.use(await temporaryDirectory()).path;
  clip = join(directory, 'clip.mp4');
  long = join(directory, 'long.mkv');
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=160x120:rate=25'];
  const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:sample_rate=48000'];
  const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2'];
  await runFfmpeg([...picture, ...tone, '-t', '1', ...h264, '-c:a', 'aac', clip]);
  await runFfmpeg([...picture, '-t', '240', ...h264, long]);
  gateway = stack.use(
    await startGateway(
      { rtmp: { enabled: false }, restorer: { models: 'test/fixtures/models' }, jobs: { minFree: 0 } },
      directory,
    ),
  );
  client = stack.use(await RestoreClient.connect(gateway.url));
}, TIMEOUT);
after(() => stack.disposeAsync());

describe('restoring a file over HTTP', TIMEOUT, () => {
  test('gives the whole file back restored, with progress on the way', async () => {
    const job = await client.submit(clip, { model: 'brighten', denoise_strength: '0.7', crf: '30' });
    assert.equal(job.name, 'clip.mp4');
    assert.deepEqual(job.settings, {
      target_resolution: 'source',
      denoise_strength: 0.7,
      model: 'brighten',
      smoothing: 0.5,
      codec: 'h264',
      crf: 30,
      container: 'mp4',
    });
    const { input } = job;
    assert.deepEqual([input.width, input.height, input.frames, input.hasAudio], [160, 120, 25, true]);
    const done = await client.over(job.id);
    assert.equal(done.state, 'done', JSON.stringify(done.error));
    assert.equal(done.result?.frames, 25);
    assert.equal(done.result?.model, 'brighten');
    const stages = client.events.flatMap((event) =>
      event.type === 'job' && event.job.id === job.id ? [event.job.progress?.stage] : [],
    );
    assert.ok(stages.includes('restoring'), stages.join());

    const answer = await client.fetch(job.urls.video);
    assert.equal(answer.headers.get('content-type'), 'video/mp4');
    const restored = join(directory, 'restored.mp4');
    await writeFile(restored, Buffer.from(await answer.arrayBuffer()));
    const { streams } = await ffprobe(restored);
    assert.deepEqual(
      streams.map(({ codec_name, nb_read_packets }) => [codec_name, nb_read_packets]),
      [
        ['h264', '25'],
        ['aac', (await ffprobe(clip)).streams[1]!.nb_read_packets],
      ],
    );
    assert.deepEqual(await packetHashes(restored, 'a'), await packetHashes(clip, 'a'));
    assert.deepEqual(await filesOf(job.id), ['restored.mp4', 'source']);
  });

  test('holds the answer with ?wait=true, and answers the same request from what it has', async () => {
    const settings = { model: 'brighten', target_resolution: '480p', codec: 'hevc' };
    const first = await client.post(clip, settings, '?wait=true');
    assert.equal(first.status, 200);
    const job = await first.json();
    assert.equal(job.state, 'done');
    assert.equal(job.result.height, 480);
    assert.equal(first.headers.get('location'), job.urls.self);
    const again = await client.post({ name: 'other.mov', content: await readFile(clip) }, settings);
    assert.equal(again.status, 200);
    assert.equal((await again.json()).id, job.id);
    const other = await client.submit(clip, { ...settings, crf: '40' });
    assert.notEqual(other.id, job.id);
    await client.over(other.id);
  });

  test('serves result and original in ranges, and both frame by frame', async () => {
    const job = await client.submit(clip, { model: 'brighten' });
    await client.over(job.id);
    const whole = Buffer.from(await (await client.fetch(job.urls.video)).arrayBuffer());
    const part = await client.fetch(job.urls.video, { headers: { range: 'bytes=100-199' } });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes 100-199/${whole.length}`);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), whole.subarray(100, 200));
    const beyond = await client.fetch(job.urls.video, { headers: { range: 'bytes=999999999-' } });
    assert.equal(beyond.status, 416);
    await beyond.body?.cancel();
    const source = await client.fetch(`${job.urls.video}?rendition=source&download=true`);
    assert.deepEqual(Buffer.from(await source.arrayBuffer()), await readFile(clip));
    assert.match(source.headers.get('content-disposition') ?? '', /^attachment; filename="clip.mp4"/);

    const { times } = await (await client.fetch(job.urls.frames)).json();
    assert.equal(times.length, 25);
    const frames = ['source', 'restored'].map(async (rendition) => {
      const frame = await client.fetch(`${job.urls.frames}/24?rendition=${rendition}`);
      assert.equal(frame.headers.get('content-type'), 'image/jpeg');
      return Buffer.from(await frame.arrayBuffer());
    });
    const [before, after] = await Promise.all(frames);
    assert.deepEqual(before!.subarray(0, 2), Buffer.from([0xff, 0xd8]));
    assert.notDeepEqual(before, after);
    const none = await problem(await client.fetch(`${job.urls.frames}/25`));
    assert.equal(none.code, 'CLEARWAY_FRAME_NOT_FOUND');
    assert.equal((await problem(await client.fetch(`${job.urls.frames}/x`))).status, 400);
  });

  test('cancels what runs and removes what is over, with its files', async () => {
    const job = await client.submit(long, { model: 'brighten' });
    await client.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
    assert.equal((await problem(await client.fetch(job.urls.video))).code, 'CLEARWAY_JOB_NOT_DONE');
    const cancelled = await client.fetch(job.urls.self, { method: 'DELETE' });
    assert.equal((await cancelled.json()).state, 'cancelled');
    assert.deepEqual(await filesOf(job.id), []);
    assert.equal((await problem(await client.fetch(job.urls.video))).code, 'CLEARWAY_JOB_CANCELLED');
    assert.equal((await client.fetch(job.urls.self, { method: 'DELETE' })).status, 204);
    await client.removed(job.id);
    assert.equal((await problem(await client.fetch(job.urls.self))).code, 'CLEARWAY_JOB_NOT_FOUND');

    const again = await client.submit(long, { model: 'brighten' });
    assert.equal(again.id, job.id);
    assert.equal(again.attempts, 0);
    await client.fetch(again.urls.self, { method: 'DELETE' });
  });

  test('takes a job up again after the gateway was killed, and leaves nothing of the first attempt', async () => {
    const job = await client.submit(long, { model: 'brighten', codec: 'hevc' });
    const waiting = await client.submit(clip, { model: 'brighten', crf: '33' });
    await client.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
    const partly = (names: string[]) => names.filter((name) => name.endsWith('clearway-part'));
    while (partly(await filesOf(job.id)).length === 0) await new Promise(setImmediate);
    const [left] = partly(await filesOf(job.id));
    await gateway.kill();
    await writeFile(join(directory, 'data/jobs/incoming/half'), 'what a client was sending');
    await using next = await startGateway(
      { rtmp: { enabled: false }, restorer: { models: 'test/fixtures/models' }, jobs: { minFree: 0 } },
      directory,
    );
    using caller = await RestoreClient.connect(next.url);
    const running = await caller.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
    assert.equal(running.attempts, 2);
    assert.ok(!(await filesOf(job.id)).includes(left!), 'what the first attempt wrote is gone');
    assert.deepEqual(await readdir(join(directory, 'data/jobs/incoming')), []);
    await caller.fetch(job.urls.self, { method: 'DELETE' });
    assert.equal((await caller.over(waiting.id)).state, 'done');
    const { code } = await next.stop();
    assert.equal(code, 0);
  });
});
