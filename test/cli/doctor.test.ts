import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdir, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { startGateway } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';
import { mountSmallDisk } from '../support/small-disk.ts';

const TIMEOUT = { timeout: 120_000 };
const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
/** One model: all there are would be checked and timed for each provider. */
let restorer: { models: string };
before(async () => {
  directory = await temporaryDirectory();
  restorer = { models: join(directory.path, 'models') };
  await cp(join(FIXTURE_MODELS, 'blend'), join(restorer.models, 'blend'), { recursive: true });
});
after(() => directory[Symbol.asyncDispose]());

function doctor(config: string): Promise<{ code: number; output: string }> {
  return new Promise((resolve) => {
    const args = [MAIN, 'doctor', '--config', config];
    execFile(process.execPath, args, (error, output) => resolve({ code: Number(error?.code ?? 0), output }));
  });
}

test('beside a running gateway nothing is wrong with the ports it has', TIMEOUT, async () => {
  const http = { port: await freePort() };
  await using gateway = await startGateway({ restorer, http, webrtc: { maxViewers: 10 } });
  const { code, output } = await doctor(gateway.configPath);
  assert.match(output, /ok {4}a gateway has been running for \d+ s/);
  assert.match(output, /nothing is wrong\n$/);
  assert.equal(code, 0);
});

test('a port that something else has is wrong', TIMEOUT, async () => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  other.on('connection', (socket) => socket.end('not HTTP'));
  const { port } = other.address() as AddressInfo;
  const config = join(directory.path, 'taken.yml');
  await writeFile(config, stringify({ restorer, http: { port }, rtmp: { enabled: false } }));
  const { code, output } = await doctor(config);
  other.close();
  assert.match(output, new RegExp(`WRONG http: 127.0.0.1:${port} cannot be opened \\(EADDRINUSE\\)`));
  assert.match(output, /1 thing\(s\) to correct/);
  assert.equal(code, 1);
});

test('a folder that takes no new configuration file is told of', TIMEOUT, async (t) => {
  const folder = join(directory.path, 'full');
  await mkdir(folder);
  using disk = mountSmallDisk(folder, 64);
  if ('missing' in disk) return t.skip(disk.missing);
  const config = join(folder, 'clearway.yml');
  const http = { port: await freePort() };
  await writeFile(config, stringify({ restorer, http, rtmp: { enabled: false }, jobs: { enabled: false } }));
  disk.fill();
  const full = await doctor(config);
  assert.match(full.output, /WRONG the disk of \S+full is full: make room/);
  assert.equal(full.code, 1);
  disk.makeRoom();
  execFileSync('mount', ['-o', 'remount,ro', folder]);
  const { code, output } = await doctor(config);
  assert.match(output, /none {2}\S+full cannot be written to \(EROFS\)/);
  assert.equal(code, 0);
});

test('of a file that cannot be used it says that the rest is of none', TIMEOUT, async () => {
  const config = join(directory.path, 'wrong.yml');
  await writeFile(config, stringify({ restorer, oops: 1 }));
  const { code, output } = await doctor(config);
  assert.match(
    output,
    /WRONG CLEARWAY_CONFIG_INVALID: \S+wrong.yml:3:1 oops: .+\n {2}none {2}ports and directories below are those of a file without any setting\n/,
  );
  assert.equal(code, 1);
});
