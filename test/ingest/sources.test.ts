import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Resolver, resolveSource } from '../../src/ingest/sources.ts';

const NAMES: Record<string, string[]> = {
  'camera.lan': ['192.168.1.20'],
  'metadata.google.internal': ['169.254.169.254'],
  'both.example': ['203.0.113.9', 'fe80::1'],
};
const resolve: Resolver = async (host) => {
  const addresses = NAMES[host];
  if (!addresses) throw new Error('ENOTFOUND');
  return addresses;
};

const ALLOWED = [
  'rtsp://camera.lan/stream1',
  'rtsps://admin:p%40ss@camera.lan:322/stream1',
  'RTSP://192.168.1.20:554/cam?channel=1&subtype=0',
  'rtsp://admin:pa@ss:word@10.0.0.7/live',
  'rtmp://127.0.0.1:1935/live/a',
  'rtmps://camera.lan/app/key',
  'srt://camera.lan:9000?passphrase=0123456789',
  'http://camera.lan/video.m3u8',
  'https://camera.lan/a.flv',
  'rtsp://[fd12:3456::7]:8554/live',
  'rtsp://not-yet-known.example/live',
];
for (const url of ALLOWED) {
  test(`allowed from the API: ${url}`, async () => {
    const { proxied = false, ...source } = await resolveSource(url, 'api', resolve);
    assert.deepEqual(source, { kind: 'url', url });
    assert.equal(proxied, url.startsWith('http'), 'only HTTP leads elsewhere');
  });
}

const REFUSED_FROM_API = [
  'file:///etc/passwd',
  'FILE:/etc/passwd',
  '/etc/passwd',
  'clip.mp4',
  'lavfi:testsrc',
  'lavfi:movie=/etc/passwd',
  'concat:/etc/passwd|/etc/shadow',
  'concat:http://camera.lan/a|file:///etc/passwd',
  'concatf:http://camera.lan/list',
  'subfile,,start,0,end,100,,:/etc/passwd',
  'http,listen,1,://camera.lan/',
  'pipe:0',
  'fd:3',
  'data:text/plain;base64,AAAA',
  'crypto:http://camera.lan/x',
  'crypto+file:///etc/passwd',
  'async:file:///etc/passwd',
  'cache:http://camera.lan/',
  'tee:a|b',
  'unix:/run/docker.sock',
  'gopher://camera.lan/',
  'ftp://camera.lan/a.mp4',
  'udp://239.0.0.1:5000',
  'tcp://camera.lan:80',
  'javascript:alert(1)',
  '-i',
  '-f lavfi',
  'rtsp://camera.lan/a -vf movie=/etc/passwd',
  'rtsp://camera.lan/a\n-y',
  'rtsp://camera.lan/a\0b',
  'rtmp://camera.lan/live/a listen=1',
  ' rtsp://camera.lan/',
  'rtsp:camera.lan',
  'rtsp:///stream',
  'rtsp://user@/stream',
  'rtsp://cam,era/stream',
  'rtsp://[fe80::1%25eth0]/a',
  'srt://0.0.0.0:9000?mode=listener',
  'srt://camera.lan:9000?latency=20&mode=rendezvous',
  'rtsp://camera.lan/a?listen',
  `http://camera.lan/${'a'.repeat(3000)}`,
];
for (const url of REFUSED_FROM_API) {
  test(`refused from the API: ${JSON.stringify(url).slice(0, 80)}`, async () => {
    await assert.rejects(resolveSource(url, 'api', resolve), {
      name: 'ClearwayError',
      code: 'CLEARWAY_URL_REFUSED',
      status: 400,
      retryable: false,
    });
  });
}

/** Spellings of link-local addresses; the numeric ones are resolved as the system (and so ffmpeg) reads them. */
const LINK_LOCAL = [
  'http://169.254.169.254/latest/meta-data/',
  'http://user:password@169.254.169.254:80/',
  'http://169.254.169.254./',
  'http://camera.lan@169.254.169.254/',
  'rtsp://2852039166/live',
  'rtsp://0xa9fea9fe/live',
  'rtsp://0xA9.254.0251.0xfe/live',
  'rtsp://0251.0376.0251.0376/live',
  'rtsp://169.16689662/live',
  'http://[::ffff:169.254.169.254]/',
  'http://[::ffff:a9fe:a9fe]/',
  'http://[64:ff9b::a9fe:a9fe]/',
  'http://[2002:a9fe:a9fe::1]/',
  'http://[fe80::1]/',
  'http://[febf::1]/',
  'http://[fd00:ec2::254]/latest',
  'http://100.100.100.200/latest',
];
for (const url of LINK_LOCAL) {
  test(`link-local, refused from the API: ${url}`, async () => {
    await assert.rejects(resolveSource(url, 'api'), { code: 'CLEARWAY_URL_REFUSED' });
  });
}

test('a name is refused when any of its addresses is link-local', async () => {
  for (const host of ['metadata.google.internal', 'both.example', 'metadata.google.internal.']) {
    await assert.rejects(resolveSource(`http://${host}/`, 'api', resolve), { code: 'CLEARWAY_URL_REFUSED' });
  }
});

test('the host checked is the one ffmpeg connects to, not the one a browser would', async () => {
  const asked: string[] = [];
  const spy: Resolver = async (host) => {
    asked.push(host);
    return ['169.254.1.1'];
  };
  for (const url of ['rtsp://a:b@c:d@inner/x', 'rtsp://outer?@inner/', 'rtsp://u:p@inner:554#@other/']) {
    await assert.rejects(resolveSource(url, 'api', spy));
  }
  assert.deepEqual(asked, ['inner', 'outer', 'inner']);
});

test('the configuration file may name files, lavfi graphs and link-local cameras', async () => {
  assert.deepEqual(await resolveSource('file:clips/night street.mp4', 'file'), {
    kind: 'file',
    url: 'file:clips/night street.mp4',
  });
  assert.deepEqual(await resolveSource('lavfi:testsrc2=size=640x360', 'file'), {
    kind: 'lavfi',
    url: 'lavfi:testsrc2=size=640x360',
  });
  assert.equal((await resolveSource('rtsp://169.254.7.7/live', 'file')).kind, 'url');
  assert.equal((await resolveSource('http://169.254.7.7/live', 'file')).proxied, undefined);
  assert.equal((await resolveSource('http://camera.lan/live', 'file')).proxied, true);
  await assert.rejects(resolveSource('concat:a|b', 'file'), { code: 'CLEARWAY_URL_REFUSED' });
});

test('push and demo are no URLs', async () => {
  assert.deepEqual(await resolveSource('push', 'api'), { kind: 'push' });
  assert.deepEqual(await resolveSource('demo', 'api'), { kind: 'demo' });
});

test('the refusal shows no password', async () => {
  await assert.rejects(resolveSource('ftp://admin:hunter2@camera.lan/', 'api'), (error: Error) => {
    assert.doesNotMatch(error.message, /hunter2/);
    return true;
  });
});
