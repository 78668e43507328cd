import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

function run(...filters: string[]) {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const script = join(import.meta.dirname, '../../scripts/test.mjs');
  return spawnSync(process.execPath, [script, ...filters], { env, encoding: 'utf8', timeout: 120_000 });
}

test('a filter that no test file knows is refused at once', () => {
  // In two pieces, or this file would have it.
  const { status, stdout, stderr } = run('web/core', `unheard${'-of'}`);
  assert.equal(status, 1);
  assert.match(stderr, /no test file has "unheard-of" in its path or in its text/);
  assert.equal(stdout, '');
});

test('a part of a name runs the tests that have it, in the files that have it', () => {
  const { status, stdout, stderr } = run('web/core', `samples older${' than'}`);
  assert.equal(status, 0, stderr);
  assert.match(stderr, /test files: test\/web\/core\/clock\.test\.ts\n/);
  assert.match(stdout, /✔ samples older than two minutes are forgotten/);
  assert.match(stdout, /ℹ pass 1\n/);
});
