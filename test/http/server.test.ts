import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { connect, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { connect as connectTls } from 'node:tls';
import type { FastifyPluginAsync } from 'fastify';
import { WebSocket } from 'ws';
import { createLogger } from '../../src/telemetry/log.ts';
import { answer, startServer, type TestServer } from './support.ts';

describe('the HTTP server', { timeout: 120_000 }, () => {
  let server: TestServer;
  let webRoot: string;

  before(async () => {
    webRoot = await mkdtemp(join(tmpdir(), 'clearway-web-'));
    const plugin: FastifyPluginAsync = async (app) => {
      app.get('/hls/:name/index.m3u8', async () => 'playlist');
    };
    server = await startServer({
      webRoot,
      plugins: [plugin],
      config: { http: { corsOrigins: ['https://home.example'] } },
    });
  });
  after(async () => {
    await server.http.close();
    await rm(webRoot, { recursive: true });
  });
  const get = (path: string, init?: RequestInit) => fetch(server.url + path, init);

  it('says that the page is not built, then serves it as soon as it is', async () => {
    const missing = await get('/');
    assert.equal(missing.status, 503);
    assert.match(await missing.text(), /npm run build:web/);
    await mkdir(join(webRoot, 'assets'));
    await writeFile(join(webRoot, 'index.html'), '<!doctype html><title>Clearway</title>');
    await writeFile(join(webRoot, 'assets', 'main-abc123.js'), 'export {};');
    for (const path of ['/', '/streams/gate']) {
      const page = await get(path);
      assert.equal(page.status, 200);
      assert.equal(page.headers.get('cache-control'), 'no-cache');
      const csp = page.headers.get('content-security-policy') ?? '';
      assert.match(csp, /default-src 'self'.*media-src 'self' blob:/);
      assert.doesNotMatch(csp, /unsafe/);
      assert.match(await page.text(), /Clearway/);
    }
    const asset = await get('/assets/main-abc123.js');
    assert.equal(asset.headers.get('cache-control'), 'public, max-age=31536000, immutable');
    assert.equal(asset.headers.get('x-content-type-options'), 'nosniff');
    assert.match(asset.headers.get('content-type') ?? '', /javascript/);
    await asset.text();
  });

  for (const path of [
    '/..%2f..%2fetc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '/assets/%00',
    '/.env',
    '/nothing',
  ]) {
    it(`finds nothing at ${path}`, async () => {
      const { status, body } = await answer(await get(path));
      assert.ok([400, 403, 404].includes(status), String(status));
      assert.match(String(body.code), /^CLEARWAY_/);
    });
  }

  it('gives the page, which says so, to a browser that is led to none; a program is told', async () => {
    const browser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };
    const page = await get('/');
    for (const path of ['/bogus', '/streams/gate/more', '/assets/none.js']) {
      const found = await get(path, browser);
      assert.equal(found.status, 404);
      assert.equal(found.headers.get('vary'), 'Accept');
      assert.match(found.headers.get('content-type') ?? '', /^text\/html/);
      assert.equal(found.headers.get('content-security-policy'), page.headers.get('content-security-policy'));
      assert.match(await found.text(), /Clearway/);
      const told = await get(path);
      assert.equal(told.headers.get('vary'), 'Accept');
      assert.equal((await answer(told)).body.code, 'CLEARWAY_NOT_FOUND');
    }
    for (const path of ['/api/v1/bogus', '/hls/gate/none', '/api/v1/streams/none']) {
      const { status, body } = await answer(await get(path, browser));
      assert.equal(status, 404);
      assert.match(String(body.code), /NOT_FOUND/);
    }
    const posted = await answer(await get('/bogus', { ...browser, method: 'POST' }));
    assert.equal(posted.body.code, 'CLEARWAY_NOT_FOUND');
  });

  it('is alive, and ready when control says so', async () => {
    assert.equal((await answer(await get('/health'))).body.status, 'ok');
    assert.deepEqual((await answer(await get('/ready'))).body, { ready: true });
    server.control.readiness = { ready: false, reason: 'the restorer is starting' };
    const waiting = await answer(await get('/ready'));
    assert.deepEqual(waiting, { status: 503, body: { ready: false, reason: 'the restorer is starting' } });
  });

  it('measures requests by route template, so that paths cannot flood the metrics', async () => {
    await server.control.create('gate', { source: 'demo' });
    await Promise.all(
      ['/api/v1/streams/gate', '/api/v1/streams/other', '/wp-login.php', '/a/b/c'].map((path) =>
        get(path).then((response) => response.text()),
      ),
    );
    const text = await (await get('/metrics')).text();
    assert.match(
      text,
      /clearway_http_request_duration_seconds_count\{method="GET",route="\/api\/v1\/streams\/:name",status="200"\} \d/,
    );
    assert.match(text, /route="\/api\/v1\/streams\/:name",status="404"/);
    assert.doesNotMatch(text, /wp-login|\/a\/b|streams\/other/);
  });

  describe('CORS', () => {
    const preflight = (path: string, origin: string) =>
      get(path, { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST' } });

    it('lets pages of the configured origins play, preflight without auth', async () => {
      const allowed = await preflight('/whep/gate', 'https://home.example');
      assert.equal(allowed.status, 204);
      assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://home.example');
      assert.equal(allowed.headers.get('vary'), 'Origin');
      assert.match(allowed.headers.get('access-control-allow-headers') ?? '', /Authorization.*If-Match/);
      const played = await get('/hls/gate/index.m3u8', { headers: { origin: 'https://home.example' } });
      assert.match(played.headers.get('access-control-expose-headers') ?? '', /ETag.*Location/);
      await played.text();
    });

    it('lets no other origin play, and nobody else’s page at the API', async () => {
      for (const [path, origin] of [
        ['/whep/gate', 'https://evil.example'],
        ['/api/v1/streams', 'https://home.example'],
      ] as const) {
        const refused = await preflight(path, origin);
        assert.equal(refused.headers.get('access-control-allow-origin'), null);
        await refused.text();
      }
    });
  });
});

describe('listening', { timeout: 120_000 }, () => {
  it('names a port that is taken', async () => {
    const first = await startServer();
    const { port } = new URL(first.url);
    await assert.rejects(startServer({ config: { http: { port: Number(port) } } }), {
      code: 'CLEARWAY_PORT_IN_USE',
      message: new RegExp(`127\\.0\\.0\\.1:${port}.*http\\.port`),
    });
    await first.http.close();
  });

  it('names an address this host does not have', async () => {
    await assert.rejects(startServer({ config: { http: { host: '203.0.113.1' } } }), {
      code: 'CLEARWAY_CONFIG_INVALID',
      message: /Cannot listen on 203\.0\.113\.1:0 \(EADDRNOTAVAIL\)/,
    });
  });
});

describe('close()', { timeout: 120_000 }, () => {
  it('says goodbye to event clients, ends blocked polls and idle connections, and leaves nothing', async () => {
    let polled = () => {};
    const blocked = new Promise<void>((resolve) => {
      polled = resolve;
    });
    const plugin: FastifyPluginAsync = async (app) => {
      app.get('/hls/:name/index.m3u8', () => {
        polled();
        return new Promise(() => {});
      });
    };
    const server = await startServer({ plugins: [plugin] });
    const socket = new WebSocket(`${server.url.replace('http', 'ws')}/events`);
    await once(socket, 'message');
    const closed = once(socket, 'close') as Promise<[number]>;
    const stuck = new WebSocket(`${server.url.replace('http', 'ws')}/events`);
    await once(stuck, 'message');
    stuck.pause();
    const stuckClosed = once(stuck, 'close');
    const idle = connect(Number(new URL(server.url).port), '127.0.0.1');
    await once(idle, 'connect');
    const idleClosed = once(idle, 'close');
    const poll = assert.rejects(fetch(`${server.url}/hls/gate/index.m3u8`));
    await blocked;
    const started = performance.now();
    await server.http.close();
    // A bound of the contract (graceful shutdown under 5 s), far from what it takes (2 s).
    assert.ok(performance.now() - started < 5000);
    assert.equal((await closed)[0], 1001);
    await poll;
    await idleClosed;
    stuck.resume();
    await stuckClosed;
    assert.equal(server.control.listeners, 0);
    assert.equal((server.http.app.server as Server).listening, false);
  });
});

describe('TLS', { timeout: 120_000 }, () => {
  let directory: string;
  let server: TestServer;
  let logged: PassThrough;
  const file = (name: string) => join(directory, name);
  const makeCertificate = (name: string) => {
    execFileSync(
      'openssl',
      ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'].concat(
        [
          '-subj',
          `/CN=${name}`,
          '-addext',
          'subjectAltName=IP:127.0.0.1',
          '-keyout',
          file(`${name}.key`),
          '-out',
          file(`${name}.pem`),
        ],
      ),
      { stdio: 'ignore' },
    );
  };
  const install = async (name: string) => {
    await copyFile(file(`${name}.key`), file('key.pem'));
    await copyFile(file(`${name}.pem`), file('cert.pem'));
  };
  const servedName = async () => {
    const socket = connectTls({
      port: Number(new URL(server.url).port),
      host: '127.0.0.1',
      rejectUnauthorized: false,
    });
    await once(socket, 'secureConnect');
    const { CN } = socket.getPeerCertificate().subject;
    socket.destroy();
    return CN;
  };

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'clearway-tls-'));
    makeCertificate('first');
    makeCertificate('second');
    await install('first');
    logged = new PassThrough();
    server = await startServer({
      config: { http: { tls: { cert: file('cert.pem'), key: file('key.pem') } } },
      logger: createLogger({ level: 'info', format: 'json' }, logged),
    });
  });
  after(async () => {
    await server.http.close();
    await rm(directory, { recursive: true });
  });

  it('speaks HTTP/2', async () => {
    assert.match(server.url, /^https:/);
    const session = connectHttp2(server.url, { rejectUnauthorized: false });
    const stream = session.request({ ':path': '/api/v1/streams' });
    const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
    assert.equal(headers[':status'], 200);
    stream.resume();
    await once(stream, 'close');
    session.close();
    await once(session, 'close');
  });

  it('speaks HTTP/1.1 and WebSocket to those who want them', async () => {
    const request = httpsRequest(`${server.url}/health`, { rejectUnauthorized: false, agent: false });
    const [response] = (await once(request.end(), 'response')) as [{ statusCode: number; resume(): void }];
    assert.equal(response.statusCode, 200);
    response.resume();
    const socket = new WebSocket(`${server.url.replace('https', 'wss')}/events`, {
      rejectUnauthorized: false,
    });
    const [message] = (await once(socket, 'message')) as [Buffer];
    assert.equal(JSON.parse(String(message)).type, 'streams');
    socket.terminate();
  });

  it('takes renewed files into use and keeps the old when the new are broken', async () => {
    assert.equal(await servedName(), 'first');
    const lines: string[] = [];
    const said = (text: string) =>
      new Promise<void>((resolve) => {
        const look = (chunk: Buffer) => {
          lines.push(String(chunk));
          if (!lines.some((line) => line.includes(text))) return;
          logged.off('data', look);
          resolve();
        };
        logged.on('data', look);
      });
    const refused = said('certificate not reloaded');
    await writeFile(file('cert.pem'), 'not a certificate');
    await refused;
    assert.equal(await servedName(), 'first');
    const reloaded = said('certificate reloaded');
    await install('second');
    await reloaded;
    assert.equal(await servedName(), 'second');
  });

  it('refuses files that cannot be used', async () => {
    await assert.rejects(
      startServer({ config: { http: { tls: { cert: file('first.pem'), key: file('second.key') } } } }),
      { code: 'CLEARWAY_CONFIG_INVALID', message: /http\.tls: .*first\.pem/ },
    );
    await assert.rejects(startServer({ config: { http: { tls: { cert: '/none', key: '/none' } } } }), {
      code: 'CLEARWAY_CONFIG_INVALID',
    });
  });

  it('closes with HTTP/2 sessions open', async () => {
    const other = await startServer({
      config: { http: { tls: { cert: file('first.pem'), key: file('first.key') } } },
    });
    const session = connectHttp2(other.url, { rejectUnauthorized: false });
    session.on('error', () => undefined);
    await once(session, 'connect');
    const closed = once(session, 'close');
    let goaway = false;
    session.on('goaway', () => {
      goaway = true;
    });
    await other.http.close();
    assert.ok(goaway, 'the session was cut, not ended');
    await closed;
  });
});
