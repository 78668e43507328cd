import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newKey, pushAddress } from '../../../src/web/wall/push.ts';

test('a publisher on another host is told the host that the page was reached by', () => {
  const rtmp = { host: '0.0.0.0', port: 1935 };
  assert.deepEqual(pushAddress(rtmp, 'nvr.example', 'yard', 'a b&c'), {
    url: 'rtmp://nvr.example:1935/live/yard?key=a%20b%26c',
    server: 'rtmp://nvr.example:1935/live',
    streamKey: 'yard?key=a%20b%26c',
  });
  assert.equal(
    pushAddress({ host: '::', port: 1 }, '[fd00::7]', 'yard', '').server,
    'rtmp://[fd00::7]:1/live',
  );
});

test('where one address is listened on, it is that one', () => {
  const { url } = pushAddress({ host: '127.0.0.1', port: 2000 }, 'nvr.example', 'yard', '');
  assert.equal(url, 'rtmp://127.0.0.1:2000/live/yard');
  assert.equal(pushAddress({ host: '::1', port: 1 }, 'x', 'yard', '').server, 'rtmp://[::1]:1/live');
});

test('keys are long, and others every time', () => {
  assert.match(newKey(), /^[0-9a-f]{32}$/);
  assert.notEqual(newKey(), newKey());
});
