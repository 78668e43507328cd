import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, it } from 'node:test';
import { openRemoteFile } from '../../src/ingest/remote-file.ts';

const { signal } = new AbortController();

describe('a file on another host', () => {
  const stack = new AsyncDisposableStack();
  let port: number;
  const asked: { url: string; host: string | undefined }[] = [];
  const answers: Record<string, RequestListener> = {
    '/film.mp4': (_, response) => response.setHeader('content-length', 4).end('film'),
    '/a%20b.mp4': (_, response) => response.end('film'),
    '/moved': (_, response) => response.writeHead(302, { location: '/film.mp4' }).end(),
    '/inside': (_, response) => response.writeHead(307, { location: 'http://127.0.0.2/secret' }).end(),
    '/metadata': (_, response) =>
      response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
    '/file': (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    '/circle': (_, response) => response.writeHead(302, { location: '/circle' }).end(),
    '/zipped': (_, response) => response.setHeader('content-encoding', 'gzip').end('x'),
    '/locked': (_, response) => response.writeHead(403).end(),
    '/broken': (_, response) => response.writeHead(503).end(),
  };

  before(async () => {
    const server = createServer((request, response) => {
      asked.push({ url: request.url!, host: request.headers.host });
      const answer = answers[request.url!];
      if (answer) answer(request, response);
      else response.writeHead(404).end();
    }).listen(0, '127.0.0.1');
    stack.defer(() => void server.close());
    await once(server, 'listening');
    ({ port } = server.address() as AddressInfo);
  });
  after(() => stack.disposeAsync());

  const here = ['127.0.0.1'];
  const open = (path: string, allowedHosts = here) =>
    openRemoteFile(`http://127.0.0.1:${port}${path}`, { allowedHosts, signal });

  it('is opened where the host is listed, over redirects too', async () => {
    const { body, name, bytes } = await open('/film.mp4');
    assert.deepEqual([await text(body), name, bytes], ['film', 'film.mp4', 4]);
    assert.equal(await text((await open('/moved')).body), 'film');
    const { body: other, name: decoded } = await open('/a%20b.mp4');
    assert.equal(decoded, 'a b.mp4');
    other.destroy();
  });

  it('is fetched from the address that was checked, whatever its name resolves to later', async () => {
    let questions = 0;
    // A name server that first says what is allowed and then what is not.
    const resolve = async () => [questions++ === 0 ? '127.0.0.1' : '127.0.0.9'];
    const file = await openRemoteFile(`http://media.example:${port}/film.mp4`, {
      allowedHosts: ['media.example', '127.0.0.1'],
      signal,
      resolve,
    });
    assert.equal(await text(file.body), 'film');
    assert.equal(questions, 1);
    assert.deepEqual(asked.at(-1), { url: '/film.mp4', host: `media.example:${port}` });
  });

  it('is refused elsewhere', async () => {
    const refused = { code: 'CLEARWAY_URL_REFUSED', status: 400 };
    const to = (address: string) => async () => [address];
    for (const [url, allowedHosts, resolve] of [
      ['http://other.example/film.mp4', ['media.example']],
      ['http://media.example.evil.example/film.mp4', ['media.example']],
      ['http://example.org/film.mp4', ['*.example.org']],
      ['http://127.0.0.1/film.mp4', []],
      ['ftp://media.example/film.mp4', ['media.example']],
      ['file:///etc/passwd', ['media.example']],
      ['http://user:secret@media.example/film.mp4', ['media.example']],
      ['no url', ['media.example']],
      // A public name that leads inside.
      ['http://media.example/film.mp4', ['media.example'], to('127.0.0.1')],
      ['http://media.example/film.mp4', ['media.example'], to('10.1.2.3')],
      ['http://media.example/film.mp4', ['media.example'], to('192.168.1.1')],
      ['http://media.example/film.mp4', ['media.example'], to('::1')],
      ['http://media.example/film.mp4', ['media.example'], to('fd00::1')],
      ['http://media.example/film.mp4', ['media.example'], to('::ffff:127.0.0.1')],
      ['http://media.example/film.mp4', ['media.example'], to('64:ff9b::10.0.0.1')],
      ['http://media.example/film.mp4', ['media.example'], to('2002:7f00:1::')],
      // Not even when it is listed.
      ['http://169.254.169.254/latest', ['169.254.169.254']],
      ['http://media.example/film.mp4', ['media.example', '169.254.169.254'], to('169.254.169.254')],
    ] as [string, string[], (() => Promise<string[]>)?][]) {
      const options = { allowedHosts, signal, ...(resolve ? { resolve } : {}) };
      await assert.rejects(openRemoteFile(url, options), refused, url);
    }
  });

  it('is refused where a redirect leads elsewhere', async () => {
    for (const path of ['/inside', '/metadata', '/file']) {
      await assert.rejects(open(path), { code: 'CLEARWAY_URL_REFUSED' }, path);
    }
    assert.ok(!asked.some(({ url }) => url === '/secret'));
  });

  it('that cannot be had is an error that says why', async () => {
    for (const [path, code] of [
      ['/nothing', 'CLEARWAY_SOURCE_NOT_FOUND'],
      ['/locked', 'CLEARWAY_SOURCE_UNAUTHORIZED'],
      ['/broken', 'CLEARWAY_SOURCE_UNREACHABLE'],
      ['/circle', 'CLEARWAY_SOURCE_UNREACHABLE'],
      ['/zipped', 'CLEARWAY_SOURCE_UNREACHABLE'],
    ] as const) {
      await assert.rejects(open(path), { code, status: 502 }, path);
    }
    const nobody = openRemoteFile('http://127.0.0.1:1/film.mp4', { allowedHosts: here, signal });
    await assert.rejects(nobody, { code: 'CLEARWAY_SOURCE_UNREACHABLE', retryable: true });
  });
});
