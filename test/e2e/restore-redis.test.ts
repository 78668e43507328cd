import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { ConfigInput } from '../../src/config/schema.ts';
import { startRedis } from '../jobs/redis.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { problem, RestoreClient } from '../support/restore-client.ts';

const TIMEOUT = { timeout: 120_000 };
const MODEL = { model: 'brighten' };

const stack = new AsyncDisposableStack();
let redis: Awaited<ReturnType<typeof startRedis>>;
let directory: string;
let gateways: RunningGateway[];
let clients: RestoreClient[];
let clip: string;

function config(): ConfigInput {
  return {
    rtmp: { enabled: false },
    restorer: { models: 'test/fixtures/models' },
    jobs: { directory: join(directory, 'shared'), redis: redis.url, takeover: '2s', minFree: 0 },
  };
}

before(async () => {
  redis = stack.use(await startRedis());
  directory = stack.use(await temporaryDirectory()).path;
  clip = join(directory, 'clip.mp4');
  const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast'];
  await runFfmpeg(['-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25:d=8', ...h264, clip]);
  gateways = await Promise.all([startGateway(config()), startGateway(config())]);
  for (const gateway of gateways) stack.use(gateway);
  clients = await Promise.all(gateways.map(({ url }) => RestoreClient.connect(url)));
  for (const client of clients) stack.use(client);
}, TIMEOUT);
after(() => stack.disposeAsync());

/** Which gateway restores a job: the one whose log says so. */
async function workerOf(id: string): Promise<number> {
  return Promise.race(
    gateways.map(async ({ logged }, at) => {
      await logged.call(gateways[at], ({ msg, job }) => msg === 'restoring a file' && job === id);
      return at;
    }),
  );
}

test('two gateways share jobs, results and what is known of them', TIMEOUT, async () => {
  const [one, two] = clients as [RestoreClient, RestoreClient];
  const job = await one.submit(clip, { ...MODEL, crf: '40' });
  const elsewhere = await two.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
  assert.equal(elsewhere.state, 'running');
  for (const client of clients) assert.equal((await client.over(job.id)).state, 'done');
  const again = await two.post(clip, { ...MODEL, crf: '40' });
  assert.equal(again.status, 200);
  assert.equal((await again.json()).id, job.id);
  const [here, there] = await Promise.all(
    clients.map(async (client) => Buffer.from(await (await client.fetch(job.urls.video)).arrayBuffer())),
  );
  assert.ok(here!.length > 1000);
  assert.deepEqual(here, there);
});

test('either cancels and removes what the other restores', TIMEOUT, async () => {
  const job = await clients[0]!.submit(clip, { ...MODEL, crf: '20' });
  const worker = await workerOf(job.id);
  await clients[worker]!.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
  const other = clients[1 - worker]!;
  const answer = await other.fetch(job.urls.self, { method: 'DELETE' });
  assert.equal((await answer.json()).state, 'cancelled');
  await gateways[worker]!.logged(({ msg, job: id }) => id === job.id && /was stopped/.test(msg));
  assert.equal((await clients[worker]!.over(job.id)).state, 'cancelled');
  while ((await other.fetch(job.urls.self, { method: 'DELETE' })).status !== 204) {
    await new Promise(setImmediate);
  }
  await clients[worker]!.removed(job.id);
});

test('the job of a killed gateway is finished by the other', TIMEOUT, async () => {
  const job = await clients[0]!.submit(clip, { ...MODEL, crf: '22' });
  const worker = await workerOf(job.id);
  await clients[worker]!.until(job.id, ({ progress }) => (progress?.frames ?? 0) > 0);
  await gateways[worker]!.kill();
  const survivor = clients[1 - worker]!;
  await gateways[1 - worker]!.logged(
    ({ msg, job: id, attempt }) => msg === 'restoring a file' && id === job.id && Number(attempt) === 2,
  );
  const done = await survivor.over(job.id);
  assert.equal(done.state, 'done', JSON.stringify(done.error));
  assert.equal(done.result?.frames, 200);
  assert.equal((await survivor.fetch(job.urls.video, { method: 'HEAD' })).status, 200);

  // Without Redis, callers are told so, and live streams would go on.
  await redis[Symbol.asyncDispose]();
  const { status, code } = await problem(await survivor.fetch('/restore/jobs'));
  assert.deepEqual([status, code], [503, 'CLEARWAY_QUEUE_DOWN']);
  assert.equal((await survivor.fetch('/health')).status, 200);
  const stopped = await gateways[1 - worker]!.stop();
  assert.equal(stopped.code, 0);
});
