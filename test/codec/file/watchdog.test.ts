import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { HANGS_AFTER, Watchdog } from '../../../src/codec/file/watchdog.ts';

test('a child that rests while it is waited for is told of, and none whose work is not shown', {
  skip: process.platform !== 'linux',
}, async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  const child = spawn('sleep', ['infinity'], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await once(child, 'spawn');
  process.kill(child.pid!, 'SIGSTOP');
  const told: string[] = [];
  const seen = new Watchdog(child.pid, () => told.push('seen'));
  // There is nothing to read of it, as on a kernel that does not count what a process reads and writes.
  const unseen = new Watchdog(undefined, () => told.push('unseen'));
  t.after(() => unseen.stop());
  seen.waiting = unseen.waiting = true;
  // What it did to start is over once it is stopped.
  for (let second = 0; second < 2 * HANGS_AFTER; second++) t.mock.timers.tick(1000);
  assert.deepEqual(told, ['seen']);
});
