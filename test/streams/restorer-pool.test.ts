import assert from 'node:assert/strict';
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { StreamConfigInput } from '../../src/config/schema.ts';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import { Occupancy } from '../../src/streams/placement.ts';
import { StreamRegistry } from '../../src/streams/registry.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { RestorerPool } from '../../src/streams/restorer-pool.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { descendants } from '../support/processes.ts';

const CAMERA: StreamConfigInput = {
  source: 'lavfi:testsrc2=s=320x180:r=10',
  model: 'blend',
  latencyBudget: '1m',
  audio: false,
};
const RESTORER = {
  provider: 'cpu',
  threads: 1,
  models: join(import.meta.dirname, '../fixtures/models'),
} as const;

/** Decoders of each restorer process, by the restorer's pid. */
async function decoders(gateway: RunningGateway): Promise<Map<number, number>> {
  const restorers = (await gateway.children()).filter(({ command }) =>
    command.some((argument) => argument.endsWith('restorer-process.ts')),
  );
  const counts = await Promise.all(
    restorers.map(async ({ pid }) => {
      const below = await descendants(pid);
      return [pid, below.filter(({ command }) => command[0]?.endsWith('ffmpeg')).length] as const;
    }),
  );
  return new Map(counts);
}

async function series(gateway: RunningGateway, name: string): Promise<number | undefined> {
  const { body } = await gateway.api('GET', '/metrics');
  const line = String(body)
    .split('\n')
    .find((line) => line.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(' ')[1]);
}

test('streams are spread over the restorers; one that dies gives its streams to the other at once', {
  timeout: 120_000,
}, async () => {
  await using gateway = await startGateway({
    restorer: { ...RESTORER, devices: [0, 1] },
    streams: { a: CAMERA, b: CAMERA },
  });
  for (const name of ['a', 'b']) await gateway.until(name, ({ state }) => state === 'live');
  const before = await decoders(gateway);
  assert.deepEqual([...before.values()], [1, 1], 'a stream each');

  const [killed] = before.keys();
  const moved = Promise.race(
    ['a', 'b'].map((name) => gateway.until(name, ({ error }) => error !== undefined)),
  );
  process.kill(killed!, 'SIGKILL');
  const { name, error } = await moved;
  assert.equal(error?.code, 'CLEARWAY_RESTORER_DOWN');
  await gateway.until(name, ({ state }) => state === 'live');
  const other = name === 'a' ? 'b' : 'a';
  assert.equal((await gateway.status(other)).reconnects, 0, 'the other stream went on undisturbed');
  const survivor = [...before.keys()][1]!;
  assert.equal((await decoders(gateway)).get(survivor), 2, 'both are on the one that lives');

  while (
    (await series(gateway, 'clearway_restorer_up{device="0"}')) !== 1 ||
    (await series(gateway, 'clearway_restorer_up{device="1"}')) !== 1
  )
    await new Promise((resolve) => setTimeout(resolve, 50));
  const restarts = await Promise.all(
    [0, 1].map((device) => series(gateway, `clearway_restorer_restarts_total{device="${device}"}`)),
  );
  assert.deepEqual(restarts.toSorted(), [0, 1]);

  // What comes next goes where there is room; lavfi: is for the file alone, so the file is edited.
  await appendFile(gateway.configPath, `  c: ${JSON.stringify(CAMERA)}\n`);
  await gateway.logged(({ stream, to }) => stream === 'c' && to === 'live');
  assert.deepEqual([...(await decoders(gateway)).values()].toSorted(), [1, 2]);
});

test('a restarted restorer is up once it takes streams, and its models are open later', {
  timeout: 120_000,
}, async () => {
  const client = new RestorerClient({ ...RESTORER, log: { level: 'silent', format: 'json' } }, silentLogger);
  const pool = new RestorerPool([{ device: 0, client }], { logger: silentLogger, retireDoubles: false });
  const metrics = new Metrics();
  new StreamRegistry({
    restorer: pool,
    logger: silentLogger,
    metrics,
    open: async () => undefined,
    viewers: () => ({ webrtc: 0, hls: 0 }),
  });
  const gauges = async () => {
    const both = await Promise.all([metrics.restorerUp.get(), metrics.restorerModelsOpen.get()]);
    return both.map(({ values }) => values[0]!.value);
  };
  /** What the gauges say at the moment of an event. */
  const at = async (event: 'ready' | 'opened' | 'down') => {
    await once(pool, event);
    return gauges();
  };
  assert.deepEqual(await gauges(), [0, 0]);
  try {
    pool.start();
    assert.deepEqual(await at('ready'), [1, 1]);
    process.kill(client.pid!, 'SIGKILL');
    const events = [at('down'), at('ready'), at('opened')];
    assert.deepEqual(await Promise.all(events), [
      [0, 0],
      [1, 0],
      [1, 1],
    ]);
  } finally {
    await pool.close();
  }
});

test('restorers that cannot choose their accelerator are ended but for one', {
  timeout: 120_000,
}, async () => {
  const client = () =>
    new RestorerClient({ ...RESTORER, log: { level: 'silent', format: 'json' } }, silentLogger);
  const pool = new RestorerPool(
    [0, 1].map((device) => ({ device, client: client() })),
    { logger: silentLogger, retireDoubles: true },
  );
  const second = pool.members[1]!.client;
  const streams = ['a', 'b'].map((name) => pool.of(name).ready ?? pool.deviceOf(name));
  assert.deepEqual(streams, [0, 1], 'dealt out while both start');
  const retired = new Promise<string[]>((resolve) => pool.once('retired', (_device, left) => resolve(left)));
  pool.start();
  try {
    assert.deepEqual(await retired, ['b']);
    assert.deepEqual(
      pool.members.map(({ device }) => device),
      [0],
    );
    await second.close();
  } finally {
    await pool.close();
  }
});

test('a stream held back for seconds moves to where there is room, and then stays', () => {
  const report = (stream: string, ms: number, step: number) =>
    ({ stream, stages: { restore: [ms], smooth: [] }, restoration: { step } }) as unknown as StreamReport;
  const full = new Occupancy();
  const empty = new Occupancy();
  for (const stream of ['a', 'b', 'c']) full.add(stream, 0);
  empty.add('d', 0);
  empty.observe(report('d', 200, 0));
  for (const stream of ['a', 'b', 'c']) full.observe(report(stream, 400, 0));
  assert.equal(full.movable(empty, 100_000), undefined, 'nobody is held back');
  for (let second = 0; second < 5; second++) full.observe(report('b', 0, 1));
  assert.equal(full.movable(empty, 100_000), 'b', 'by what it took before: 0.2 + 0.4');
  assert.equal(full.movable(empty, 30_000), undefined, 'moved too recently');
  for (let second = 0; second < 8; second++) empty.observe(report('d', 600, 0));
  assert.equal(full.movable(empty, 100_000), undefined, 'no room there');
});
