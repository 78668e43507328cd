import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { connect, createServer as createTcpServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { SourceProxy } from '../../src/ingest/source-proxy.ts';
import { listen, startHttpCamera } from '../support/bad-cameras.ts';
import { decodeFrames } from '../support/decode.ts';
import { renderClip, temporaryDirectory } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';

const METADATA = 'http://169.254.169.254/latest/meta-data';
/** By its name alone ffmpeg 8 does not take everything for a playlist. */
const HLS = 'application/vnd.apple.mpegurl';
/** Names that only the proxy knows: who connects to them goes through it. */
const HOSTS: Record<string, string[]> = {
  'camera.test': ['127.0.0.1'],
  'metadata.test': ['169.254.169.254', 'fe80::1%eth0'],
  // As a host on the same network has, by mDNS.
  'both.test': ['fe80::1%eth0', '127.0.0.1'],
  'usual.test': ['127.0.0.3'],
};

const stack = new AsyncDisposableStack();
let proxy: SourceProxy;
let directory: string;
let clip: Buffer;

before(async () => {
  directory = stack.use(await temporaryDirectory()).path;
  clip = await readFile(await renderClip(join(directory, 'a.ts'), { seconds: 1, size: '64x48' }));
  proxy = new SourceProxy(async (host) => {
    const found = HOSTS[host];
    if (found) return found;
    throw Object.assign(new Error(host), { code: 'ENOTFOUND' });
  });
  stack.defer(() => proxy.close());
});
after(() => stack.disposeAsync());

const decode = async (url: string) => decodeFrames(url, 10, await proxy.address(url));

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

test('so does one that speaks TLS, with all that its playlists name', async () => {
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
  const secret = Buffer.from('sixteen letters!');
  const asked: IncomingMessage[] = [];
  await using source = await listen(
    createServer({ cert, key }, (request, response) => {
      asked.push(request);
      const { host } = request.headers;
      // In parts of unknown length, as most servers send what they make.
      const send = (body: Buffer) => {
        response.write(body.subarray(0, 5));
        response.end(body.subarray(5));
      };
      const list = (entry: string) => {
        response.setHeader('content-type', HLS);
        return send(Buffer.from(`#EXTM3U\n${entry}\n`));
      };
      switch (request.url) {
        case '/':
          return response.writeHead(302, { location: `https://${host}/all.m3u8` }).end();
        case '/all.m3u8':
          return list(`#EXT-X-STREAM-INF:BANDWIDTH=1\nhttps://${host}/list.m3u8`);
        case '/list.m3u8':
          return list(
            `#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n#EXTINF:1,\n//${host}/a.ts\n#EXT-X-KEY:METHOD=AES-128,URI="https://${host}/key"\n#EXTINF:1,\nsecret.ts\n#EXT-X-ENDLIST`,
          );
        case '/key':
          return send(secret);
        case '/secret.ts': {
          // The initialisation vector is the number of the segment (RFC 8216, 5.2).
          const cipher = createCipheriv('aes-128-cbc', secret, Buffer.from('2'.padStart(32, '0'), 'hex'));
          return send(Buffer.concat([cipher.update(clip), cipher.final()]));
        }
        default:
          return send(clip);
      }
    }),
  );
  for (const host of ['camera.test', '127.0.0.1']) {
    asked.length = 0;
    const url = `https://me:secret@${host}:${source.port}`;
    const { frames, error } = await decodeFrames(url, 75, await proxy.address(url));
    assert.equal(frames.length, 75, error?.message);
    assert.deepEqual(
      asked.slice(0, 3).map(({ url }) => url),
      ['/', '/all.m3u8', '/list.m3u8'],
    );
    for (const { headers } of asked) assert.equal(headers.host, `${host}:${source.port}`);
  }
});

test('a URL without a port means that of its scheme, and the source is not told of one', async (t) => {
  const hosts: (string | undefined)[] = [];
  const secure = createTcpServer((socket) => socket.end());
  const plain = createHttpServer(({ headers }, response) => {
    hosts.push(headers.host);
    response.end(clip);
  });
  for (const [server, port] of [[secure, 443] as const, [plain, 80] as const]) {
    t.after(() => server.close());
    try {
      await once(server.listen(port, '127.0.0.3'), 'listening');
    } catch (error) {
      return t.skip(String(error));
    }
  }
  assert.equal((await decode('http://usual.test/')).frames.length, 10);
  assert.deepEqual(hosts, ['usual.test']);
  const asked = once(secure, 'connection');
  await Promise.all([decode('https://usual.test/'), asked]);
  assert.deepEqual(hosts, ['usual.test']);
});

test('so does one whose HTTP no parser takes', async () => {
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
      response
        .setHeader('content-type', HLS)
        .end(
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

test('no line of a playlist leads past it, whatever protocol of ffmpeg it names', async () => {
  await using elsewhere = await listen(createTcpServer((socket) => socket.end()));
  const at = `127.0.0.1:${elsewhere.port}`;
  const urls = [
    ...['httpproxy', 'tcp', 'tls', 'udp', 'rtp', 'rtmp', 'gopher', 'ftp', 'mmsh', 'ffrtmphttp', 'srt'].map(
      (protocol) => `${protocol}://${at}/a.ts`,
    ),
    ...['crypto', 'async', 'cache', 'concat', 'concatf', 'hls'].flatMap((wrapper) =>
      ['http', 'tcp'].flatMap((protocol) => [
        `${wrapper}:${protocol}://${at}/a.ts`,
        `${wrapper}+${protocol}://${at}/a.ts`,
      ]),
    ),
    `subfile,,start,0,end,9,,:http://${at}/a.ts`,
    `data:application/vnd.apple.mpegurl,#EXTM3U%0A#EXT-X-STREAM-INF:BANDWIDTH=1%0Atcp://${at}`,
    `file://${join(directory, 'a.ts')}`,
    `unix:${join(directory, 'a.ts')}`,
  ];
  const segment = (tag: string, url = 'a.ts') =>
    `#EXT-X-TARGETDURATION:1\n${tag}#EXTINF:1,\n${url}\n#EXT-X-ENDLIST`;
  const lists = urls.flatMap((url) => [
    segment('', url),
    segment(`#EXT-X-KEY:METHOD=AES-128,URI="${url}"\n`),
    segment(`#EXT-X-MAP:URI="${url}"\n`),
    `#EXT-X-STREAM-INF:BANDWIDTH=1\n${url}`,
    // Names that seem to be the attribute that follows, or that end behind it.
    ...['a', 'URI=', '\\"URI='].map(
      (name) =>
        `#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="${name}",URI="${url}"\n#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO="a"\nlist`,
    ),
  ]);
  const asked = new Set<string>();
  // One that plays, and beside it each of the others.
  await using source = await startHttpCamera((request, response) => {
    const path = request.url!.slice(1);
    asked.add(path);
    if (path === 'a.ts') return response.end(clip);
    const variant = (name: string | number) => `#EXT-X-STREAM-INF:BANDWIDTH=1\n${name}.m3u8`;
    const all = [variant('list'), ...lists.map((_, list) => variant(list))].join('\n');
    const list = path === 'all.m3u8' ? all : (lists[Number.parseInt(path, 10)] ?? segment(''));
    return response.end(`#EXTM3U\n${list}\n`);
  });
  const { frames, error } = await decode(`http://camera.test:${source.port}/all.m3u8`);
  assert.equal(elsewhere.accepted, 0);
  assert.equal(frames.length, 10, error?.message);
  for (const list of lists.keys()) assert.ok(asked.has(`${list}.m3u8`), `list ${list} was read`);
});

test('nor does a playlist that does not look like one to the proxy, or a redirect', async () => {
  await using elsewhere = await listen(createTcpServer((socket) => socket.end()));
  const entry = `tcp://127.0.0.1:${elsewhere.port}`;
  const list = `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n${entry}\n`;
  // An ID3v2 tag of ten bytes, which ffmpeg skips before it looks what follows.
  const tag = Buffer.from('ID3\u0004\0\0\0\0\0\u000a0123456789', 'latin1');
  const ANSWERS: Record<string, (response: ServerResponse) => unknown> = {
    'behind a tag': (response) => response.end(Buffer.concat([tag, Buffer.from(list)])),
    'behind a tag, in two parts': (response) => {
      response.write(Buffer.concat([tag, Buffer.from(list.slice(0, 4))]));
      response.end(list.slice(4));
    },
    'with text between its bytes': (response) =>
      response.writeHead(200, { 'icy-metaint': '4' }).end(list.replace(/.{4}/gs, '$&\0')),
    compressed: (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(list)),
    'of an odd status': (response) => response.writeHead(304, { 'content-length': list.length }).end(list),
    'in a raw answer': ({ socket }) => socket!.end(`ICY 302 Found\n\n${list}`),
    'a redirect': (response) => response.writeHead(302, { location: entry }).end(),
  };
  await using source = await startHttpCamera((request, response) => {
    ANSWERS[decodeURIComponent(request.url!.slice(1))]!(response);
  });
  for (const name of Object.keys(ANSWERS)) {
    const { frames, error } = await decode(`http://camera.test:${source.port}/${encodeURIComponent(name)}`);
    assert.equal(frames.length, 0);
    assert.ok(error, name);
    assert.equal(elsewhere.accepted, 0, name);
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

test('TLS that is asked of a port without it is named as that', async () => {
  await using plain = await startHttpCamera((_request, response) => response.end(clip));
  const { error } = await decode(`https://camera.test:${plain.port}/`);
  assert.match(error!.message, /does not speak TLS on that port/);
});

test('where no file was left for it to listen with, it tries again with the next source', () => {
  const script = `
    import { closeSync, openSync } from 'node:fs';
    import { SourceProxy } from ${JSON.stringify(new URL('../../src/ingest/source-proxy.ts', import.meta.url))};
    const files = [];
    let proxy, first;
    do {
      // It did listen: Node had closed a file of its own meanwhile.
      await proxy?.close();
      proxy = new SourceProxy();
      try { for (;;) files.push(openSync('/dev/null')); } catch {}
      first = await proxy.address('http://camera.test/').catch(({ code }) => code);
    } while (typeof first !== 'string');
    files.forEach(closeSync);
    console.log(first, (await proxy.address('http://camera.test/')).proxy);
    await proxy.close();`;
  const limited = ['-c', 'ulimit -n 64; exec "$0" --input-type=module -e "$1"', process.execPath, script];
  assert.match(
    execFileSync('bash', limited, { encoding: 'utf8', timeout: 60_000 }),
    /^EMFILE http:\/\/127\.0\.0\.1:\d+\n$/,
  );
});

test('closed, it does not listen again for a stream that was still looking up its host', async (t) => {
  const closed = new SourceProxy();
  t.after(() => closed.close());
  await closed.address('http://camera.test/');
  await closed.close();
  await assert.rejects(closed.address('http://camera.test/'), /closed/);
});

test('nothing is asked for a client that left while the name was looked up', async () => {
  const asked: string[] = [];
  const heard = new EventEmitter();
  // It never answers.
  await using source = await startHttpCamera(({ url }) => {
    asked.push(url!);
    heard.emit(url!);
  });
  const { promise, resolve } = Promise.withResolvers<string[]>();
  const slow = new SourceProxy(() => {
    heard.emit('looked up');
    return promise;
  });
  stack.defer(() => slow.close());
  const { port } = new URL((await slow.address('http://slow.test/')).proxy!);
  const ask = (host: string, path: string) => {
    const client = connect(Number(port), '127.0.0.1');
    client.write(`GET http://${host}:${source.port}${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    return client;
  };
  const lookedUp = once(heard, 'looked up');
  const client = ask('slow.test', '/left');
  await lookedUp;
  client.destroy();
  // Who comes later is heard later.
  for (const path of ['/before', '/after']) {
    const reached = once(heard, path);
    const later = ask('127.0.0.1', path);
    await reached;
    later.destroy();
    resolve(['127.0.0.1']);
  }
  assert.deepEqual(asked, ['/before', '/after']);
});

test('it is no web server, and what a browser can send leads nowhere', async () => {
  const address = (await proxy.address('http://camera.test/')).proxy!;
  const { port, host } = new URL(address);
  const response = await fetch(address, { redirect: 'error' });
  assert.equal(response.status, 400);
  const socket = connect(Number(port), '127.0.0.1');
  socket.end(`GET http://me@${host}/ HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
  const [status] = (await socket.toArray()).join('').split('\r\n');
  assert.equal(status, 'HTTP/1.1 400 Bad Request');
});
