import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from './support/ffmpeg.ts';
import { freePort } from './support/ports.ts';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

function clearway(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = once(child, 'close').then(([code]) => ({ code, output }));
  return { child, ended, output: () => output };
}

for (const args of [
  ['serve', '--log-level', 'loud'],
  ['serve', '--log-format', 'xml'],
  ['serve', '--frobnicate'],
  ['serve', 'twice'],
  ['fly'],
]) {
  test(`clearway ${args.join(' ')} is wrong usage, and says why`, async () => {
    const { code, output } = await clearway(...args).ended;
    assert.equal(code, 2);
    assert.match(output, /^CLEARWAY_BAD_REQUEST: /);
  });
}

test('a reader that has seen enough ends no command in an error', async () => {
  const child = spawn(process.execPath, [MAIN, 'models'], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const [code] = await once(child, 'close');
  assert.deepEqual({ code, complaint }, { code: 0, complaint: '' });
});

test('stopped while the models are still being timed it ends at once, and logs as the configuration says', async () => {
  await using directory = await temporaryDirectory();
  const config = join(directory.path, 'clearway.yml');
  const [http, rtmp] = [await freePort(), await freePort()];
  await writeFile(
    config,
    `log: { level: info, format: json }\nhttp: { port: ${http} }\nrtmp: { port: ${rtmp} }\nstreams:\n  cam: { source: push }\n`,
  );
  const { child, ended, output } = clearway('serve', '--config', config);
  while (!output().includes('Clearway is ready')) {
    assert.equal(child.exitCode, null, output());
    await Promise.race([once(child.stdout, 'data'), ended]);
  }
  child.kill('SIGTERM');
  const { code } = await ended;
  assert.equal(code, 0);
  const lines = output().trim().split('\n');
  assert.equal(JSON.parse(lines.at(-1)!).msg, 'stopped');

  await writeFile(config, `log: { level: silent }\nhttp: { port: ${http} }\nrtmp: { enabled: false }\n`);
  const quiet = clearway('serve', '--config', config);
  // The page answers before anything could have been logged.
  for (;;) {
    assert.equal(quiet.child.exitCode, null, quiet.output());
    const answered = await fetch(`http://127.0.0.1:${http}/health`).then(
      (response) => response.ok,
      () => false,
    );
    if (answered) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  quiet.child.kill('SIGTERM');
  assert.deepEqual(await quiet.ended, { code: 0, output: '' });
});

test('a second start on the same configuration says in a line each that files and the port are taken', async () => {
  await using directory = await temporaryDirectory();
  const config = join(directory.path, 'clearway.yml');
  const [http, rtmp] = [await freePort(), await freePort()];
  await writeFile(
    config,
    `log: { level: warn, format: pretty }\nhttp: { port: ${http} }\nrtmp: { port: ${rtmp} }\njobs: { directory: files }\nstreams:\n  cam: { source: push }\n`,
  );
  const first = clearway('serve', '--config', config, '--log-level', 'info', '--log-format', 'json');
  try {
    while (!first.output().includes('Clearway is ready')) {
      assert.equal(first.child.exitCode, null, first.output());
      await Promise.race([once(first.child.stdout, 'data'), first.ended]);
    }
    const { code, output } = await clearway('serve', '--config', config).ended;
    assert.equal(code, 1);
    assert.match(output, /ERROR.*: files are not restored\n.*CLEARWAY_CONFIG_INVALID.*\n.*another gateway/);
    assert.match(output, new RegExp(`^CLEARWAY_PORT_IN_USE: .*:${http}`, 'm'));
    assert.doesNotMatch(output, /^ +at /m, 'no stack');
  } finally {
    first.child.kill('SIGTERM');
    await first.ended;
  }
});
