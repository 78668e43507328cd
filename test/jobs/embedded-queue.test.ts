import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { ClearwayError } from '../../src/contracts/errors.ts';
import type { Job } from '../../src/contracts/jobs.ts';
import { EmbeddedQueue } from '../../src/jobs/embedded-queue.ts';
import { nextTurn } from '../../src/jobs/turns.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { ManualRunner, order, RESULT, until } from './runner.ts';

async function open(concurrency = 1) {
  const dir = await temporaryDirectory();
  const path = join(dir.path, 'queue.db');
  const queue = new EmbeddedQueue(path, { concurrency, logger: silentLogger });
  return {
    path,
    queue,
    async [Symbol.asyncDispose]() {
      await queue.close();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const passing = () => new ClearwayError('CLEARWAY_RESTORER_DOWN', 'The restorer died.', { retryable: true });

describe('the embedded queue', () => {
  it('does jobs by turn, one at a time, and keeps their results', async () => {
    await using opened = await open();
    const { queue } = opened;
    await queue.add(order('second', { turn: 1 }));
    await queue.add(order('first', { turn: 0 }));
    const runner = new ManualRunner();
    queue.work(runner.run);
    const first = await runner.attempt(0);
    assert.equal(first.job.id, 'first');
    assert.equal(runner.attempts.length, 1);
    first.finish();
    (await runner.attempt(1)).finish();
    const done = await until(queue, 'second', ({ state }) => state === 'done');
    assert.deepEqual(done.result, RESULT);
    assert.equal(done.attempts, 1);
  });

  it('takes the same job once', async () => {
    await using opened = await open();
    const { queue } = opened;
    await queue.add(order('same', { name: 'one.mp4' }));
    const again = await queue.add(order('same', { name: 'two.mp4' }));
    assert.equal(again.name, 'one.mp4');
    assert.equal((await queue.list()).length, 1);
  });

  it('tries a passing failure three times, another one once', async () => {
    await using opened = await open();
    const { queue } = opened;
    const runner = new ManualRunner();
    queue.work(runner.run);
    await queue.add(order('wrong'));
    (await runner.attempt(0)).fail(new ClearwayError('CLEARWAY_SOURCE_NOT_VIDEO', 'Not a video.'));
    const wrong = await until(queue, 'wrong', ({ state }) => state === 'failed');
    assert.equal(wrong.attempts, 1);
    assert.equal(wrong.error?.code, 'CLEARWAY_SOURCE_NOT_VIDEO');
    await queue.add(order('unlucky'));
    for (const attempt of [1, 2, 3]) (await runner.attempt(attempt)).fail(passing());
    const unlucky = await until(queue, 'unlucky', ({ state }) => state === 'failed');
    assert.equal(unlucky.attempts, 3);
    assert.equal(unlucky.error?.code, 'CLEARWAY_RESTORER_DOWN');
  });

  it('cancels a waiting and a running job', async () => {
    await using opened = await open();
    const { queue } = opened;
    const runner = new ManualRunner();
    queue.work(runner.run);
    await queue.add(order('running'));
    await queue.add(order('waiting'));
    const { options } = await runner.attempt(0);
    assert.equal((await queue.cancel('waiting'))?.state, 'cancelled');
    assert.equal((await queue.cancel('running'))?.state, 'cancelled');
    assert.ok(options.signal.aborted);
    assert.equal(runner.attempts.length, 1);
    assert.equal(await queue.cancel('unknown'), undefined);
  });

  it('has jobs back after a restart: what ran is queued again, with the attempt given back', async () => {
    await using dir = await temporaryDirectory();
    const path = join(dir.path, 'queue.db');
    const before = new EmbeddedQueue(path, { concurrency: 1, logger: silentLogger });
    const runner = new ManualRunner();
    before.work(runner.run);
    await before.add(order('kept'));
    await runner.attempt(0);
    await before.close();
    const after = new EmbeddedQueue(path, { concurrency: 1, logger: silentLogger });
    const kept = await after.get('kept');
    assert.equal(kept?.state, 'queued');
    assert.equal(kept?.attempts, 0);
    await after.close();
  });

  it('refuses a file that another gateway has open, and says what to do', async () => {
    await using opened = await open();
    assert.throws(
      () => new EmbeddedQueue(opened.path, { concurrency: 1, logger: silentLogger }),
      (error: ClearwayError) => error.code === 'CLEARWAY_CONFIG_INVALID' && /jobs\.redis/.test(error.message),
    );
  });

  it('tells of progress again when its disk, which did not answer, does', async (t) => {
    await using opened = await open();
    const { queue } = opened;
    const runner = new ManualRunner();
    queue.work(runner.run);
    await queue.add(order('film'));
    const { options, finish } = await runner.attempt(0);
    const told: Job['progress'][] = [];
    queue.onJob(({ progress }) => told.push(progress));
    const progress = { frames: 1, total: 50, fps: 25, left: 2 };
    const { mock } = t.mock.method(DatabaseSync.prototype, 'prepare', () => {
      throw new Error('disk I/O error');
    });
    // Nobody above would take an error: it would end the gateway.
    options.onProgress({ ...progress, stage: 'probing' });
    mock.restore();
    options.onProgress({ ...progress, stage: 'restoring' });
    assert.deepEqual(told, [{ ...progress, stage: 'restoring' }]);
    finish();
    await until(queue, 'film', ({ state }) => state === 'done');
  });

  it('lives on a full disk, and writes what came of its jobs when there is room', async (t) => {
    await using directory = await temporaryDirectory();
    using disk = mountSmallDisk(directory.path, 512);
    if ('missing' in disk) return t.skip(disk.missing);
    const queue = new EmbeddedQueue(join(disk.path, 'queue.db'), { concurrency: 1, logger: silentLogger });
    try {
      const runner = new ManualRunner();
      queue.work(runner.run);
      await queue.add(order('running'));
      await queue.add(order('waiting'));
      const { finish } = await runner.attempt(0);
      disk.fill();
      // Until the pages that are there already are used up.
      const more = async () => {
        for (let n = 0; ; n++) await queue.add(order(`more-${n}`, { name: 'x'.repeat(4000) }));
      };
      await assert.rejects(more(), { code: 'CLEARWAY_DISK_FULL', status: 507 });
      await assert.rejects(queue.cancel('running'), { code: 'CLEARWAY_DISK_FULL' });
      finish();
      assert.equal((await queue.get('running'))?.state, 'running');
      disk.makeRoom();
      assert.deepEqual((await until(queue, 'running', ({ state }) => state === 'done')).result, RESULT);
      assert.equal((await runner.attempt(1)).job.id, 'waiting');
    } finally {
      await queue.close();
    }
  });
});

describe('turns', () => {
  it('give an owner of many jobs one a turn, and a newcomer the turn that runs', () => {
    const known = [
      { owner: 'many', turn: 4, started: 1 },
      { owner: 'many', turn: 5 },
      { owner: 'many', turn: 6 },
    ];
    assert.equal(nextTurn(known, 'many'), 7);
    assert.equal(nextTurn(known, 'new'), 4);
    assert.equal(nextTurn([], 'new'), 0);
  });
});
