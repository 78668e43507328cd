import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

const ROOT = join(import.meta.dirname, '../..');

interface Outcome {
  code: number | null;
  stderr: string;
}

/** Runs `npm run setup`'s script on a host whose commands are those in `bin` and no others. */
function setup(bin: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [join(ROOT, 'scripts/setup.mjs')],
      { env: { PATH: bin }, timeout: 120_000 },
      (_error, _stdout, stderr) => resolve({ code: child.exitCode, stderr }),
    );
  });
}

describe('npm run setup, on a host without ffmpeg', () => {
  let bin = '';
  let log = '';

  before(async () => {
    const dir = await mkdtemp(join(tmpdir(), 'clearway-setup-'));
    bin = join(dir, 'bin');
    log = join(dir, 'log');
    await mkdir(bin);
    // The page is built with npm; everything else that a step may call is a stand-in.
    for (const command of ['sh', 'env']) await symlink(`/bin/${command}`, join(bin, command));
    await symlink(process.execPath, join(bin, 'node'));
  });
  after(() => rm(join(bin, '..'), { recursive: true, force: true }));

  const command = (name: string, script: string) =>
    writeFile(join(bin, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });

  test('says what is missing when there is no package manager it knows', async () => {
    const { code, stderr } = await setup(bin);
    assert.equal(code, 1);
    assert.match(stderr, /^clearway: missing: ffmpeg\. Install with your system's package manager/m);
  });

  test('shows why the package manager failed', async () => {
    await command('sudo', 'shift; exec "$@"');
    await command('apt-get', 'echo "E: no route to the mirror" >&2; exit 100');
    const { code, stderr } = await setup(bin);
    assert.equal(code, 1);
    assert.match(stderr, /apt-get update -qq` failed \(exit code 100\)\nE: no route to the mirror/);
  });

  test('does not believe a package manager that installed nothing', async () => {
    await command('apt-get', 'exit 0');
    const { code, stderr } = await setup(bin);
    assert.equal(code, 1);
    assert.match(stderr, /ffmpeg is still missing after: apt-get install ffmpeg/);
  });

  test('updates the package list, installs ffmpeg without asking and goes on', async () => {
    await command('npm', 'exit 0');
    await command(
      'apt-get',
      `echo "$DEBIAN_FRONTEND $*" >> ${log}; [ "$1" = install ] && { echo > ${bin}/ffmpeg; /bin/chmod +x ${bin}/ffmpeg; }; exit 0`,
    );
    const { code, stderr } = await setup(bin);
    assert.equal(code, 0, stderr);
    assert.deepEqual((await readFile(log, 'utf8')).trim().split('\n'), [
      'noninteractive update -qq',
      'noninteractive install -y -qq --no-install-recommends ffmpeg',
    ]);
    assert.match(stderr, /installing ffmpeg \(apt-get\)\.\.\.\n(?:.*\n)*clearway: ready/);
  });
});
