import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { describe, it } from 'node:test';
import { readLines } from '../../src/codec/lines.ts';
import { ClearwayError } from '../../src/contracts/errors.ts';
import { RedisQueue } from '../../src/jobs/redis-queue.ts';
import { createLogger, silentLogger } from '../../src/telemetry/log.ts';
import { startRedis } from './redis.ts';
import { ManualRunner, order, RESULT, until } from './runner.ts';

const connect = (url: string) =>
  new RedisQueue({ url, concurrency: 1, takeover: 1000, logger: silentLogger });

describe('the queue in Redis', () => {
  it('is one queue for two gateways: jobs, progress, results and cancelling', async () => {
    await using redis = await startRedis();
    const [worker, other] = [connect(redis.url), connect(redis.url)];
    try {
      const runner = new ManualRunner();
      worker.work(runner.run);
      await other.add(order('job-a'));
      assert.equal((await worker.add(order('job-a', { name: 'again' }))).name, 'job-a.mp4');
      const first = await runner.attempt(0);
      first.options.onProgress({ stage: 'restoring', frames: 7, total: 50, fps: 5, left: 8 });
      const running = await until(other, 'job-a', ({ progress }) => progress?.frames === 7);
      assert.equal(running.state, 'running');
      first.finish();
      const done = await until(other, 'job-a', ({ state }) => state === 'done');
      assert.deepEqual(done.result, RESULT);

      await other.add(order('job-b'));
      await other.add(order('job-c', { turn: 1 }));
      const second = await runner.attempt(1);
      assert.equal(second.job.id, 'job-b');
      assert.equal((await other.cancel('job-c'))?.state, 'cancelled');
      assert.equal((await other.cancel('job-b'))?.state, 'cancelled');
      await until(worker, 'job-b', ({ state }) => state === 'cancelled');
      if (!second.options.signal.aborted) {
        await new Promise((resolve) => second.options.signal.addEventListener('abort', resolve));
      }
      assert.deepEqual(
        (await other.list()).map(({ id, state }) => [id, state]),
        [
          ['job-c', 'cancelled'],
          ['job-b', 'cancelled'],
          ['job-a', 'done'],
        ],
      );
      await other.forget('job-a');
      assert.equal(await worker.get('job-a'), undefined);
    } finally {
      await Promise.all([worker.close(), other.close()]);
    }
  });

  it('keeps the error of a failed job, and gives a stopped gateway’s job to another', async () => {
    await using redis = await startRedis();
    const [one, two] = [connect(redis.url), connect(redis.url)];
    try {
      const [first, second] = [new ManualRunner(), new ManualRunner()];
      one.work(first.run);
      await one.add(order('wrong'));
      (await first.attempt(0)).fail(new ClearwayError('CLEARWAY_SOURCE_NOT_VIDEO', 'Not a video.'));
      const wrong = await until(two, 'wrong', ({ state }) => state === 'failed');
      assert.deepEqual(wrong.error, {
        code: 'CLEARWAY_SOURCE_NOT_VIDEO',
        message: 'Not a video.',
        retryable: false,
      });
      await one.add(order('handed-over'));
      await first.attempt(1);
      await one.close();
      two.work(second.run);
      (await second.attempt(0)).finish();
      assert.equal((await until(two, 'handed-over', ({ state }) => state === 'done')).state, 'done');
    } finally {
      await Promise.all([one.close(), two.close()]);
    }
  });

  it('says that Redis is gone', async () => {
    const redis = await startRedis();
    const queue = connect(redis.url);
    try {
      await queue.list();
      await redis[Symbol.asyncDispose]();
      await assert.rejects(queue.list(), { code: 'CLEARWAY_QUEUE_DOWN', status: 503 });
    } finally {
      await queue.close();
    }
  });

  it('tells the log of it once, however long it lasts, and when it is back', async () => {
    const out = new PassThrough({ encoding: 'utf8' });
    const said: string[] = [];
    const back = Promise.withResolvers<void>();
    readLines(out, (line) => {
      said.push(line);
      if (line.includes('answers again')) back.resolve();
    });
    let redis = await startRedis();
    const logger = createLogger({ level: 'info', format: 'json' }, out);
    const queue = new RedisQueue({ url: redis.url, concurrency: 1, takeover: 1000, logger });
    try {
      await queue.list();
      await redis[Symbol.asyncDispose]();
      // Each asks at least twice for a connection.
      for (let i = 0; i < 4; i++) await assert.rejects(queue.list(), { code: 'CLEARWAY_QUEUE_DOWN' });
      assert.equal(said.filter((text) => text.includes('ECONNREFUSED')).length, 1);
      redis = await startRedis(redis.port);
      await back.promise;
    } finally {
      await queue.close();
      await redis[Symbol.asyncDispose]();
    }
  });
});
