import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readLines } from '../../src/codec/lines.ts';
import { freePort } from '../support/ports.ts';

/**
 * Debian's redis-server on a port of loopback, keeping nothing on disk.
 * @param port to come back where it was
 */
export async function startRedis(port?: number): Promise<AsyncDisposable & { port: number; url: string }> {
  port ??= await freePort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const exited = once(child, 'exit');
  const ready = Promise.withResolvers<void>();
  readLines(child.stdout, (line) => {
    if (/Ready to accept connections/.test(line)) ready.resolve();
  });
  await Promise.race([ready.promise, exited.then(() => Promise.reject(new Error('redis-server ended')))]);
  return {
    port,
    url: `redis://127.0.0.1:${port}/0`,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
