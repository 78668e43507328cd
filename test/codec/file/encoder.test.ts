import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { FileEncoder, partPath } from '../../../src/codec/file/encoder.ts';
import { probeVideo } from '../../../src/codec/file/probe.ts';
import { HANGS_AFTER } from '../../../src/codec/file/watchdog.ts';
import { renderClip, temporaryDirectory } from '../../support/ffmpeg.ts';
import { descendants } from '../../support/processes.ts';
import { SETTINGS } from '../../support/restoring.ts';

const SIZE = { width: 320, height: 240 };

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
before(async () => {
  directory = await temporaryDirectory();
});
after(() => directory[Symbol.asyncDispose]());

test('an encoder that hangs while it is waited for is given up, and nothing is left of its result', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const input = await renderClip(join(directory.path, 'clip.mp4'), { seconds: 1 });
  const output = join(directory.path, 'result.mp4');
  const picture = () => new ArrayBuffer((SIZE.width * SIZE.height * 3) / 2);
  const encoder = new FileEncoder({
    ...{ input, output, settings: SETTINGS, given: SIZE, size: SIZE },
    probe: await probeVideo(input, undefined),
  });
  await encoder.write(picture(), 0);
  const [ffmpeg] = await descendants(process.pid);
  process.kill(ffmpeg!.pid, 'SIGSTOP');
  // Nobody waits for it yet.
  for (let second = 0; second < 2 * HANGS_AFTER; second++) t.mock.timers.tick(1000);
  process.kill(ffmpeg!.pid, 'SIGCONT');
  await encoder.write(picture(), 512);

  process.kill(ffmpeg!.pid, 'SIGSTOP');
  let failed = false;
  const writing = (async () => {
    // Until the pipe is full.
    for (let n = 2; ; n++) await encoder.write(picture(), n * 512);
  })();
  writing.catch(() => {
    failed = true;
  });
  while (!failed) {
    t.mock.timers.tick(1000);
    await turn();
  }
  await assert.rejects(writing, { code: 'CLEARWAY_ENCODER_FAILED', message: /did nothing/, retryable: true });
  await encoder[Symbol.asyncDispose]();
  assert.ok(!(await readdir(directory.path)).some((name) => partPath(output).endsWith(name)));
});
