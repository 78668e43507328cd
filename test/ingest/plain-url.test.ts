import assert from 'node:assert/strict';
import { test } from 'node:test';
import { followed, meantHost, plainUrl } from '../../src/ingest/plain-url.ts';

const URLS: [url: string, plain: string, host: string][] = [
  [
    'https://camera.lan/a.m3u8?b=https://c',
    'http://camera.lan.https.invalid:443/a.m3u8?b=https://c',
    'camera.lan',
  ],
  ['HTTPS://me:a@b@10.0.0.7:8443?x', 'http://me:a@b@10.0.0.7.https.invalid:8443?x', '10.0.0.7'],
  ['https://[fd00::7]:8443/', 'http://fd00--7.ipv6.https.invalid:8443/', 'fd00::7'],
  ['https://cam', 'http://cam.https.invalid:443', 'cam'],
];
for (const [url, plain, host] of URLS) {
  test(`${url} is asked for over plain HTTP, under a name that says whom and how`, () => {
    assert.equal(plainUrl(url), plain);
    assert.deepEqual(meantHost(new URL(plain).hostname), { host, secure: true });
  });
}

test('a host that is none has no such name, and another is who it says', () => {
  for (const url of ['https://', 'https://a b/', 'https://[::1', 'http://camera.lan/'])
    assert.equal(plainUrl(url), undefined, url);
  assert.deepEqual(meantHost('camera.lan'), { host: 'camera.lan', secure: false });
  assert.deepEqual(meantHost('https.invalid'), { host: 'https.invalid', secure: false });
});

test('what is relative stays as it is; without a scheme it takes that of where it was found', () => {
  for (const url of ['', 'a.ts', '/a.ts?b=c:d', '../a/b:c.ts', 'http://camera.lan/a.ts'])
    assert.equal(followed(url, true), url);
  assert.equal(followed('//camera.lan/a.ts', false), '//camera.lan/a.ts');
  assert.equal(followed('//camera.lan/a.ts', true), 'http://camera.lan.https.invalid:443/a.ts');
  assert.equal(followed('https://camera.lan/a.ts', false), 'http://camera.lan.https.invalid:443/a.ts');
});

test('nothing but HTTP is followed', () => {
  for (const url of [
    'tcp://a',
    'TCP:a',
    ' tcp://a',
    'crypto+http://a',
    'data:,a',
    'http:a',
    'https:/a',
    'a,b:http://c',
  ])
    assert.equal(followed(url, false), undefined, url);
});
