import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmod, open, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, type TestContext, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ffmpegPath } from '../../../src/codec/ffmpeg.ts';
import { FileDecoder, type FilePicture } from '../../../src/codec/file/decoder.ts';
import { ffprobePath } from '../../../src/codec/file/opening.ts';
import { probeVideo } from '../../../src/codec/file/probe.ts';
import { HANGS_AFTER } from '../../../src/codec/file/watchdog.ts';
import { renderClip, temporaryDirectory } from '../../support/ffmpeg.ts';
import { descendants } from '../../support/processes.ts';

const SIZE = { width: 160, height: 120 };
const BYTES = (SIZE.width * SIZE.height * 3) / 2;
const PICTURES = 100;

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let clip: string;
before(async () => {
  directory = await temporaryDirectory();
  // More pictures than fit into the pipe, in a container that is read from the start to the end.
  clip = await renderClip(path('clip.ts'), { seconds: PICTURES / 25 });
});
after(() => directory[Symbol.asyncDispose]());

const path = (name: string) => join(directory.path, name);

/** A decoder of `file`, which holds what the clip does. */
async function decode(file = clip, onBegin = () => {}): Promise<FileDecoder> {
  const allocate = () => {
    onBegin();
    return new ArrayBuffer(BYTES);
  };
  return new FileDecoder(file, await probeVideo(clip, undefined), { ...SIZE, allocate });
}

async function all(pictures: AsyncIterable<FilePicture>): Promise<FilePicture[]> {
  const taken: FilePicture[] = [];
  for await (const picture of pictures) taken.push(picture);
  return taken;
}

/** The watchdog's seconds pass as the test says. */
function stopClock(t: TestContext): void {
  t.mock.timers.enable({ apis: ['setInterval'] });
}

/** Lets seconds pass, in each of which what happens can be seen. */
async function wait(t: TestContext, seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    t.mock.timers.tick(1000);
    await turn();
  }
}

/** Lets seconds pass until something is settled. */
async function waitFor(t: TestContext, work: Promise<unknown>): Promise<void> {
  let settled = false;
  const note = () => {
    settled = true;
  };
  work.then(note, note);
  while (!settled) await wait(t, 1);
}

async function signal(name: NodeJS.Signals): Promise<void> {
  const [ffmpeg] = await descendants(process.pid);
  process.kill(ffmpeg!.pid, name);
}

test('a decoder that hangs is given up, and another attempt may be made', async (t) => {
  stopClock(t);
  await using decoder = await decode();
  const pictures = decoder.pictures();
  await pictures.next();
  await signal('SIGSTOP');
  const rest = all(pictures);
  await waitFor(t, rest);
  await assert.rejects(rest, { code: 'CLEARWAY_SOURCE_STALLED', retryable: true });
});

test('a file that comes slowly is waited for, however long a picture takes', async (t) => {
  const fifo = path('slow.ts');
  execFileSync('mkfifo', [fifo]);
  const bytes = await readFile(clip);
  stopClock(t);
  await using decoder = await decode(fifo);
  const pictures = all(decoder.pictures());
  await using file = await open(fifo, 'w');
  const part = Math.ceil(bytes.length / 4);
  for (let at = 0; at < bytes.length; at += part) {
    await wait(t, HANGS_AFTER - 10);
    // More than a pipe holds: it is written once some of it has been read.
    assert.ok(part > 1 << 16);
    await file.write(bytes.subarray(at, at + part));
  }
  await file.close();
  assert.equal((await pictures).length, PICTURES);
});

test('a decoder may rest for as long as nobody asks for a picture: its stream waits for the accelerator', async (t) => {
  stopClock(t);
  await using decoder = await decode();
  const pictures = decoder.pictures();
  await pictures.next();
  await signal('SIGSTOP');
  await wait(t, 2 * HANGS_AFTER);
  await signal('SIGCONT');
  assert.equal((await all(pictures)).length, PICTURES - 1);
});

test('an ffmpeg that does not announce its pictures fails the file', async (t) => {
  const mute = path('ffmpeg');
  await writeFile(mute, `#!/bin/sh\nexec ${ffmpegPath()} "$@" 2> /dev/null\n`);
  await chmod(mute, 0o755);
  await symlink(execFileSync('which', [ffprobePath()], { encoding: 'utf8' }).trim(), path('ffprobe'));
  const { FFMPEG_PATH } = process.env;
  process.env.FFMPEG_PATH = mute;
  t.after(() => {
    if (FFMPEG_PATH === undefined) delete process.env.FFMPEG_PATH;
    else process.env.FFMPEG_PATH = FFMPEG_PATH;
  });
  stopClock(t);
  const failure = { code: 'CLEARWAY_FFMPEG_MISSING', message: /does not say when the pictures/ };

  // One whose pictures are all in the pipe ...
  await using ended = await decode(await renderClip(path('short.ts'), { seconds: 0.2 }));
  await assert.rejects(all(ended.pictures()), failure);

  // ... and one whose decoder waits until they are taken.
  const { promise: begun, resolve } = Promise.withResolvers<void>();
  await using full = await decode(clip, resolve);
  const pictures = all(full.pictures());
  await begun;
  await waitFor(t, pictures);
  await assert.rejects(pictures, failure);
});
