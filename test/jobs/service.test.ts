import assert from 'node:assert/strict';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { describe, it } from 'node:test';
import type { Job, JobWish } from '../../src/contracts/jobs.ts';
import { EmbeddedQueue } from '../../src/jobs/embedded-queue.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { mountSmallDisk } from '../support/small-disk.ts';
import { RESULT, until } from './runner.ts';
import { openTestJobs, type TestJobs } from './service.ts';

const WISH: JobWish = {
  target_resolution: 'source',
  denoise_strength: 1,
  model: 'auto',
  smoothing: 0.5,
  codec: 'h264',
  container: 'auto',
};
const OWNER = { name: 'ann', scope: 'ann' };

async function submit(
  { jobs }: TestJobs,
  content: string | Buffer,
  wish: Partial<JobWish> = {},
): Promise<Job> {
  const received = await jobs.receive(Readable.from([Buffer.from(content)]), 'clip.mp4');
  return jobs.submit(received, { ...WISH, ...wish }, OWNER);
}

async function done(test: TestJobs, content: string | Buffer): Promise<Job> {
  const next = test.begun;
  const { id } = await submit(test, content);
  (await test.restoration(next)).finish();
  return until(test.jobs, id, ({ state }) => state === 'done');
}

const kept = async ({ jobs }: TestJobs) => (await jobs.list()).map(({ id }) => id);
const onDisk = async ({ directory }: TestJobs) => readdir(join(directory, 'files'));

describe('the job service', () => {
  it('gives the same request the same job: content, settings and owner', async () => {
    await using test = await openTestJobs();
    const first = await submit(test, 'film');
    const ids = new Set([first.id]);
    assert.equal((await submit(test, 'film')).id, first.id);
    for (const [content, wish] of [
      ['other film', {}],
      ['film', { denoise_strength: 0.5 }],
      ['film', { smoothing: 0 }],
      ['film', { codec: 'av1' }],
      ['film', { crf: 20 }],
      ['film', { target_resolution: '720p' }],
      ['film', { container: 'mkv' }],
      ['film', { model: 'lite' }],
    ] as [string, Partial<JobWish>][]) {
      ids.add((await submit(test, content, wish)).id);
    }
    assert.equal(ids.size, 9);
    const received = await test.jobs.receive(Readable.from(['film']), 'x');
    ids.add((await test.jobs.submit(received, WISH, { name: 'bob', scope: 'bob' })).id);
    assert.equal(ids.size, 10);
  });

  it('keeps what fits `keep`, newest first, and removes the rest with its files', async () => {
    await using test = await openTestJobs({ keep: { count: 2, size: 1000, age: '1h' } });
    const first = await done(test, 'one');
    const second = await done(test, 'two');
    const third = await done(test, 'three');
    await forgotten(test, first);
    assert.deepEqual(await kept(test), [third.id, second.id]);
    const large = await done(test, Buffer.alloc(900));
    for (const job of [third, second]) await forgotten(test, job);
    assert.deepEqual(await kept(test), [large.id], 'it is larger than `size` alone, and there to be fetched');
    assert.deepEqual(await onDisk(test), [large.id]);
  });

  it('removes at its start what an earlier run left', async () => {
    await using first = await openTestJobs();
    const job = await done(first, 'film');
    await first.jobs.close();
    const { directory } = first;
    const files = join(directory, 'files');
    await writeFile(join(directory, 'incoming', 'half'), 'half a film');
    await writeFile(join(files, job.id, 'attempt.mp4.clearway-part'), 'half a result');
    await mkdir(join(files, 'f'.repeat(32)));
    await writeFile(join(files, 'f'.repeat(32), 'source'), 'of no job');
    await using second = await openTestJobs({}, {}, directory);
    assert.deepEqual(await readdir(join(directory, 'incoming')), []);
    assert.deepEqual(await onDisk(second), [job.id]);
    assert.deepEqual(await readdir(join(files, job.id)), ['restored.mp4', 'source']);
  });

  it('makes room on a full disk by removing a job', async (t) => {
    await using directory = await temporaryDirectory();
    using disk = mountSmallDisk(directory.path, 512);
    if ('missing' in disk) return t.skip(disk.missing);
    await using test = await openTestJobs({}, {}, disk.path);
    const job = await done(test, 'film'.repeat(10_000));
    disk.fill();
    await test.jobs.remove((await test.jobs.get(job.id))!);
    assert.deepEqual(await test.jobs.list(), []);
    assert.deepEqual(await onDisk(test), []);
  });

  it('restores again what was removed from the disk', async () => {
    await using test = await openTestJobs();
    const job = await done(test, 'film');
    await test.jobs.remove((await test.jobs.get(job.id))!);
    const again = await submit(test, 'film');
    assert.equal(again.id, job.id);
    assert.equal(again.state, 'queued');
  });

  it('stops a video that turns out longer than is taken', async () => {
    await using test = await openTestJobs({ maxDuration: '10s' });
    const { id } = await submit(test, 'film that says 2 s');
    const { options } = await test.restoration(0);
    options.onProgress({ stage: 'restoring', frames: 251, total: 50, fps: 25, left: 0 });
    const failed = await until(test.jobs, id, ({ state }) => state === 'failed');
    assert.equal(failed.error?.code, 'CLEARWAY_VIDEO_TOO_LONG');
    assert.ok(options.signal.aborted);
    await removedFiles(test);
  });

  it('has a caller who hangs up while the queue is slow to answer end nothing but its own wait', async (t) => {
    await using test = await openTestJobs();
    const { id } = await submit(test, 'film');
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>();
    t.mock.method(EmbeddedQueue.prototype, 'get', async () => {
      await answered;
      return undefined;
    });
    const hangUp = new AbortController();
    const waiting = assert.rejects(test.jobs.whenOver(id, hangUp.signal), { message: 'gone' });
    hangUp.abort(new Error('gone'));
    // A rejection that nobody has taken by then ends the process.
    await turn();
    answer();
    await waiting;
  });

  it('counts jobs for Prometheus', async () => {
    await using test = await openTestJobs();
    await done(test, 'one');
    await submit(test, 'one');
    await submit(test, 'two');
    const text = await test.metrics.registry.metrics();
    for (const line of [
      'clearway_jobs{state="done"} 1',
      'clearway_jobs{state="failed"} 0',
      'clearway_job_requests_total{outcome="created"} 2',
      'clearway_job_requests_total{outcome="cached"} 1',
      'clearway_job_duration_seconds_count 1',
      `clearway_job_frames_total ${RESULT.frames}`,
    ]) {
      assert.ok(text.includes(`${line}\n`), line);
    }
  });
});

/** Resolves once a job is no longer known and its files are gone. */
async function forgotten(test: TestJobs, { id }: Job): Promise<void> {
  while ((await onDisk(test)).includes(id) || (await kept(test)).includes(id)) await turn();
}

async function removedFiles(test: TestJobs): Promise<void> {
  while ((await onDisk(test)).length > 0) await turn();
}

function turn(): Promise<void> {
  return new Promise(setImmediate);
}
