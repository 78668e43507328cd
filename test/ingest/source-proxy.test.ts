import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SourceProxy } from '../../src/ingest/source-proxy.ts';
import { listen, startHttpCamera } from '../support/bad-cameras.ts';
import { decodeFrames } from '../support/decode.ts';
import { renderClip, temporaryDirectory } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';

const METADATA = 'http://169.254.169.254/latest/meta-data';
/** Names that only the proxy knows: who connects to them goes through it. */
const HOSTS: Record<string, string[]> = {
  'camera.test': ['127.0.0.1'],
  'metadata.test': ['169.254.169.254', 'fe80::1%eth0'],
  // As a host on the same network has, by mDNS.
  'both.test': ['fe80::1%eth0', '127.0.0.1'],
};

const stack = new AsyncDisposableStack();
let proxy: SourceProxy;
let directory: string;
let clip: Buffer;

before(async () => {
  directory = stack.use(await temporaryDirectory()).path;
  clip = await readFile(await renderClip(join(directory, 'a.ts'), { seconds: 1, size: '64x48' }));
  proxy = await SourceProxy.open(async (host) => {
    const found = HOSTS[host];
    if (found) return found;
    throw Object.assign(new Error(host), { code: 'ENOTFOUND' });
  });
  stack.defer(() => proxy.close());
});
after(() => stack.disposeAsync());

const decode = (url: string) => decodeFrames(url, 10, { proxy: proxy.url });

test('a camera plays through it, by a name that nobody else resolves', async () => {
  const asked: IncomingMessage[] = [];
  await using source = await startHttpCamera((request, response) => {
    asked.push(request);
    if (request.headers.authorization) response.end(clip);
    else response.writeHead(401, { 'www-authenticate': 'Basic realm="camera"' }).end();
  });
  for (const host of ['camera.test', 'both.test']) {
    const { frames, error } = await decode(`http://me:secret@${host}:${source.port}/a%20b/c.ts?d=e%2Ff`);
    assert.equal(frames.length, 10, error?.message);
    const { url, headers } = asked.at(-1)!;
    assert.equal(url, '/a%20b/c.ts?d=e%2Ff', 'the path is as it was written');
    assert.equal(headers.host, `${host}:${source.port}`);
    assert.equal(headers.authorization, `Basic ${btoa('me:secret')}`);
  }
});

test('so does one that speaks TLS, or whose HTTP no parser takes', async () => {
  const file = (name: string) => join(directory, name);
  execFileSync(
    'openssl',
    [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
      ...['-subj', '/CN=camera.test', '-keyout', file('key.pem'), '-out', file('cert.pem')],
    ],
    { stdio: 'ignore' },
  );
  const [cert, key] = await Promise.all([readFile(file('cert.pem')), readFile(file('key.pem'))]);
  await using secure = await listen(createServer({ cert, key }, (_request, response) => response.end(clip)));
  const { frames, error } = await decode(`https://camera.test:${secure.port}/`);
  assert.equal(frames.length, 10, error?.message);

  await using odd = await startHttpCamera((_request, { socket }) => {
    socket?.end(Buffer.concat([Buffer.from('ICY 200 OK\r\nContent-Type : video/mp2t\r\n\r\n'), clip]));
  });
  assert.equal((await decode(`http://camera.test:${odd.port}/`)).frames.length, 10);
});

test('neither a redirect nor a playlist leads to a forbidden address', async () => {
  await using source = await startHttpCamera(({ url, headers }, response) => {
    const where = { literal: METADATA, name: 'http://metadata.test/a.ts', tls: 'https://metadata.test/a.ts' };
    const [, how, to] = url!.split('/') as [string, string, keyof typeof where];
    if (how === 'redirect') response.writeHead(302, { location: where[to] }).end();
    else if (how === 'twice')
      response.writeHead(302, { location: `http://${headers.host}/redirect/name` }).end();
    else
      response.end(
        `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n${where[to].replace('meta-data', 'a.ts')}\n#EXT-X-ENDLIST\n`,
      );
  });
  for (const path of [
    'redirect/literal',
    'redirect/name',
    'redirect/tls',
    'twice/',
    'list/literal',
    'list/name',
  ]) {
    const { error } = await decode(`http://camera.test:${source.port}/${path}`);
    assert.equal(error?.code, 'CLEARWAY_URL_REFUSED', `${path}: ${error?.message}`);
  }
});

test('a name that has changed its meaning since it was checked is checked again', async () => {
  await using source = await startHttpCamera(({ url }, response) => {
    if (url === '/a.ts') return response.end(clip);
    HOSTS['moving.test'] = ['169.254.169.254'];
    return response.end(`#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n`);
  });
  HOSTS['moving.test'] = ['127.0.0.1'];
  const { error } = await decode(`http://moving.test:${source.port}/list.m3u8`);
  assert.equal(error?.code, 'CLEARWAY_URL_REFUSED', error?.message);
});

test('what cannot be reached is named as it is without a proxy', async () => {
  const port = await freePort();
  for (const scheme of ['http', 'https']) {
    assert.match((await decode(`${scheme}://camera.invalid/`)).error!.message, /host name is unknown/);
    assert.match((await decode(`${scheme}://camera.test:${port}/`)).error!.message, /nothing listens/);
  }
});

test('it is no web server, and what a browser can send leads nowhere', async () => {
  const { port, host } = new URL(proxy.url);
  const response = await fetch(proxy.url, { redirect: 'error' });
  assert.equal(response.status, 400);
  const socket = connect(Number(port), '127.0.0.1');
  socket.end(`GET http://me@${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [status] = (await socket.toArray()).join('').split('\r\n');
  assert.equal(status, 'HTTP/1.1 400 Bad Request');
});
