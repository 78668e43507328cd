import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import { now } from '../../src/contracts/time.ts';

const TIME = new URL('../../src/contracts/time.ts', import.meta.url).href;

test('processes and threads that start later share the clock, whatever the host’s says by then', async () => {
  // A child whose idea of the wall clock is an hour behind.
  const script = `Date.now = () => 1; const { now } = await import('${TIME}'); console.log(now());`;
  const before = now();
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const after = now();
  assert.ok(before < Number(stdout) && Number(stdout) < after, `${before} < ${stdout} < ${after}`);

  const worker = new Worker(
    `import('${TIME}').then(({ now }) => require('node:worker_threads').parentPort.postMessage(now()))`,
    { eval: true },
  );
  const [thread] = (await new Promise((resolve) => worker.once('message', (at) => resolve([at])))) as [
    number,
  ];
  assert.ok(after < thread && thread < now());
  await worker.terminate();
});

test('a process that was held up while it started is not behind', async () => {
  const bracketed = `const from = process.hrtime.bigint(); const at = now(); const to = process.hrtime.bigint();
    console.log(JSON.stringify([from, at, to].map(Number)));`;
  // As if preempted, each time a clock is first read.
  const script = `
    for (const [clock, name] of [[performance, 'now'], [process.hrtime, 'bigint']]) {
      const read = clock[name].bind(clock);
      clock[name] = () => {
        const first = read();
        clock[name] = read;
        for (const end = Date.now() + 50; Date.now() < end; );
        return first;
      };
    }
    const { now } = await import('${TIME}');
    ${bracketed}`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  const [from, at, to] = JSON.parse(stdout) as [number, number, number];
  const epoch = Number(process.env.CLEARWAY_CLOCK_EPOCH);
  assert.ok(epoch + from / 1e6 <= at && at <= epoch + to / 1e6, `${from} ${at} ${to}`);
});

test('it begins with the host’s clock', () => {
  assert.ok(Math.abs(now() - Date.now()) < 1000);
});
