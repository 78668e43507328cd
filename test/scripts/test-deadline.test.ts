import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

test('a test file that keeps a socket open fails with its name and what it left open', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'clearway-deadline-'));
  try {
    const file = join(dir, 'leak.test.ts');
    await writeFile(
      file,
      `import { createServer } from 'node:net';
       import { test } from 'node:test';
       test('passes', () => { createServer().listen(0, '127.0.0.1'); });`,
    );
    const preload = `--import=${join(import.meta.dirname, '../../scripts/test-deadline.mjs')}`;
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const run = spawnSync(process.execPath, [preload, '--test', '--test-reporter=spec', file], {
      env: { ...env, CLEARWAY_TEST_FILE_SECONDS: '1' },
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(run.status, 1, run.stdout + run.stderr);
    assert.match(run.stdout, /leak\.test\.ts: still running after 1 s; open: .*TCPServerWrap/);
    assert.match(run.stdout, /ℹ fail 1/);
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});
