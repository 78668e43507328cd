import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { decoderArguments } from '../../src/codec/decoder-arguments.ts';
import { checkFfmpeg, ffmpegArguments } from '../../src/codec/ffmpeg.ts';
import { spawnFfmpeg } from '../../src/codec/ffmpeg-child.ts';
import { readLines } from '../../src/codec/lines.ts';
import { startSilentCamera } from '../support/bad-cameras.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';

/** An executable of the test's own in place of ffmpeg. */
async function script(directory: string, body: string): Promise<string> {
  const path = join(directory, 'ffmpeg');
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Resolves when no process of that id is left; the test's own time limit bounds it. */
async function gone(pid: number): Promise<void> {
  while (alive(pid)) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('the installed ffmpeg is found with its version', async () => {
  const { version } = await checkFfmpeg();
  assert.match(version, /^\S+/);
});

test('a missing and an old ffmpeg are errors that say what to install', async () => {
  await using directory = await temporaryDirectory();
  const old = await script(directory.path, 'echo ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright');
  for (const path of ['/nonexistent/ffmpeg', old]) {
    await assert.rejects(checkFfmpeg(path), {
      code: 'CLEARWAY_FFMPEG_MISSING',
      message: /apt-get install ffmpeg/,
    });
  }
});

test('releases, distribution and git builds are recognised', async () => {
  await using directory = await temporaryDirectory();
  for (const version of ['5.1.9-0+deb12u1', '7.1', 'n8.0.1', '6.1.1-3ubuntu5', 'N-121000-gabcdef']) {
    const path = await script(directory.path, `echo ffmpeg version ${version} Copyright`);
    assert.equal((await checkFfmpeg(path)).version, version);
  }
});

test('a URL stays one argument, whatever it contains', () => {
  const url = 'rtsp://cam/a b"; $(reboot) -vf movie=x';
  const args = ffmpegArguments(
    ['-v', 'error'],
    [{ url, options: ['-timeout', '1'] }],
    [{ url: 'pipe:3', options: ['-f', 'null'] }],
  );
  assert.deepEqual(
    args.filter((arg) => arg.includes('cam')),
    [url],
  );
  assert.equal(args[args.indexOf(url) - 1], '-i');
});

test('every network scheme is confined to its own protocols', () => {
  for (const scheme of ['rtsp', 'rtsps', 'rtmp', 'rtmps', 'srt', 'http', 'https']) {
    const args = decoderArguments(
      { url: `${scheme}://camera/x`, transport: 'auto', audio: true, stallTimeout: 5 },
      'auto',
    );
    const allowed = args[args.indexOf('-protocol_whitelist') + 1]!.split(',');
    assert.ok(allowed.includes(scheme) || scheme.startsWith('rtsp'));
    for (const protocol of ['file', 'pipe', 'concat', 'subfile', 'data', 'unix', 'fd', 'async', 'cache']) {
      assert.ok(!allowed.includes(protocol), `${scheme} may open ${protocol}`);
    }
  }
});

test('stop ends the whole group, also what ignores SIGTERM', async () => {
  await using directory = await temporaryDirectory();
  const path = await script(
    directory.path,
    `trap '' TERM
sleep 600 &
echo $! >&2
while :; do sleep 600; done`,
  );
  const child = spawnFfmpeg(path, []);
  const { promise: grandchild, resolve } = Promise.withResolvers<number>();
  readLines(child.stderr, (line) => resolve(Number(line)));
  const pid = await grandchild;
  assert.ok(alive(pid));
  const exit = await child.stop();
  assert.equal(exit.signal, 'SIGKILL');
  await gone(pid);
});

test('stop may be called twice, and after the end', async () => {
  const child = spawnFfmpeg('false', []);
  assert.equal((await child.closed).code, 1);
  await Promise.all([child.stop(), child.stop()]);
});

test('a child does not outlive a parent that is killed', { skip: process.platform !== 'linux' }, async () => {
  await using camera = await startSilentCamera();
  const parent = spawn(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { spawnFfmpeg } from ${JSON.stringify(import.meta.resolve('../../src/codec/ffmpeg-child.ts'))};
       const child = spawnFfmpeg('ffmpeg', ['-i', 'tcp://127.0.0.1:${camera.port}', '-f', 'null', '-']);
       console.log(child.pid);
       child.stderr.resume();`,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const { promise, resolve } = Promise.withResolvers<number>();
  readLines(parent.stdout, (line) => resolve(Number(line)));
  const pid = await promise;
  assert.ok(alive(pid));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  await gone(pid);
});
