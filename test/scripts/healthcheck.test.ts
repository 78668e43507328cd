import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';

/** The exit code of the container's health check against a server that answers so. */
async function check(listener: RequestListener): Promise<number | null> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const child = execFile(process.execPath, [join(import.meta.dirname, '../../scripts/healthcheck.mjs')], {
    env: { CLEARWAY_HEALTH_URL: `http://127.0.0.1:${port}/health` },
  });
  const [code] = await once(child, 'exit');
  server.closeAllConnections();
  server.close();
  return code;
}

test('a gateway that answers 200 on /health is healthy', async () => {
  assert.equal(
    await check(({ url }, response) => response.writeHead(url === '/health' ? 200 : 404).end()),
    0,
  );
});

test('a gateway that answers anything else is not', async () => {
  assert.equal(await check((_request, response) => response.writeHead(503).end()), 1);
});

test('a gateway that hangs up is not', async () => {
  assert.equal(await check(({ socket }) => socket.destroy()), 1);
});

test('a gateway that accepts and says nothing is not', async () => {
  assert.equal(await check(() => {}), 1);
});
