import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { FileProgress } from '../../src/contracts/file.ts';
import { renderClip, temporaryDirectory } from '../support/ffmpeg.ts';
import { type Restoring, startRestoring } from '../support/restoring.ts';

let restoring: Restoring;
let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let clip: string;
const output = () => join(directory.path, 'out.mp4');

before(async () => {
  restoring = await startRestoring();
  directory = await temporaryDirectory();
  clip = await renderClip(join(directory.path, 'in.mp4'), { seconds: 20, size: '640x360' });
});
after(async () => {
  await restoring[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

/** Begins to restore the clip; resolves when some of its frames are done. */
function begin(signal?: AbortSignal, by = restoring): { begun: Promise<void>; result: Promise<unknown> } {
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  const onProgress = ({ frames }: FileProgress) => frames > 0 && resolve();
  const result = by.restore(clip, output(), {}, { onProgress, ...(signal ? { signal } : {}) });
  return { begun, result };
}

test('a file that is cancelled leaves nothing behind, and the restorer takes the next', async () => {
  const abort = new AbortController();
  const { begun, result } = begin(abort.signal);
  await begun;
  abort.abort();
  await assert.rejects(result, { code: 'CLEARWAY_JOB_CANCELLED' });
  assert.deepEqual(await readdir(directory.path), ['in.mp4']);

  await assert.rejects(begin(AbortSignal.abort()).result, { code: 'CLEARWAY_JOB_CANCELLED' });
});

test('a restorer that dies gives its file up for another attempt, which waits until there is a restorer', async () => {
  const { begun, result } = begin();
  await begun;
  process.kill(restoring.client.pid!, 'SIGKILL');
  await assert.rejects(result, { code: 'CLEARWAY_RESTORER_DOWN', retryable: true });
  assert.deepEqual(await readdir(directory.path), ['in.mp4']);

  assert.equal(restoring.client.ready, undefined);
  const again = new AbortController();
  const second = begin(again.signal);
  await second.begun;
  again.abort();
  await assert.rejects(second.result, { code: 'CLEARWAY_JOB_CANCELLED' });
});

test('a restorer that is ended gives its file up for another attempt: another restorer’s, or its own once it is back', async () => {
  await using other = await startRestoring();
  const { client } = other;
  const first = begin(undefined, other);
  await first.begun;
  client.renewOn('cpu');
  await assert.rejects(first.result, { code: 'CLEARWAY_RESTORER_DOWN', retryable: true });

  const second = begin(undefined, other);
  await second.begun;
  const closed = other[Symbol.asyncDispose]();
  assert.equal(client.ready, undefined, 'it is given no other file');
  await assert.rejects(second.result, { code: 'CLEARWAY_RESTORER_DOWN', retryable: true });
  await closed;
  assert.deepEqual(await readdir(directory.path), ['in.mp4']);
});

test('so does one that has to be killed when it is ended', async () => {
  await using other = await startRestoring();
  const { begun, result } = begin(undefined, other);
  await begun;
  const pid = other.client.pid!;
  process.kill(pid, 'SIGSTOP');
  const closed = other[Symbol.asyncDispose]();
  process.kill(pid, 'SIGKILL');
  await assert.rejects(result, { code: 'CLEARWAY_RESTORER_DOWN', retryable: true });
  await closed;
  assert.deepEqual(await readdir(directory.path), ['in.mp4']);
});
