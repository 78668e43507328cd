import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, test } from 'node:test';

const START = join(import.meta.dirname, '../../scripts/start.mjs');

describe('npm start', () => {
  test('ends with the exit code of the gateway', async () => {
    const child = spawn(process.execPath, [START, '--no-such-option'], { stdio: 'ignore' });
    assert.deepEqual(await once(child, 'exit'), [2, null]);
  });

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    test(`passes ${signal} on, once, and waits for the gateway to stop cleanly`, async () => {
      const dir = await mkdtemp(join(tmpdir(), 'clearway-start-'));
      try {
        const config = join(dir, 'clearway.yml');
        await writeFile(
          config,
          'http: {port: 0}\nrtmp: {enabled: false}\nstreams: {off: {source: "rtsp://127.0.0.1:1/", enabled: false}}\n',
        );
        const child = spawn(process.execPath, [START, '--config', config, '--log-format', 'json'], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        const exit = once(child, 'exit');
        const said: string[] = [];
        for await (const line of createInterface({ input: child.stdout })) {
          const { msg } = JSON.parse(line) as { msg: string };
          said.push(msg);
          if (msg.startsWith('Clearway is ready')) {
            child.kill(signal);
            child.kill(signal);
          }
        }
        assert.deepEqual(await exit, [0, null]);
        assert.equal(said.at(-1), 'stopped');
      } finally {
        await rm(dir, { recursive: true, force: true });
      }
    });
  }
});
