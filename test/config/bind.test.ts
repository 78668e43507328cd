import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { assertBindAllowed, isLoopback } from '../../src/config/bind.ts';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';

const token = { name: 't', token: `sha256:${'0'.repeat(64)}` };
const check = (input: ConfigInput) => () => assertBindAllowed(configSchema.parse(input));

describe('isLoopback', () => {
  for (const host of [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '[::1]',
    'localhost',
    'LOCALHOST',
    '::ffff:127.0.0.1',
  ]) {
    it(`${host} is`, () => assert.equal(isLoopback(host), true));
  }
  for (const host of [
    '0.0.0.0',
    '::',
    '192.168.1.2',
    '127.evil.example',
    'localhost.evil.example',
    'cam',
    '',
  ]) {
    it(`${host || '(empty)'} is not`, () => assert.equal(isLoopback(host), false));
  }
});

describe('assertBindAllowed', () => {
  it('allows loopback without auth', () => assert.doesNotThrow(check({})));

  it('refuses HTTP elsewhere without auth and says what to add', () => {
    assert.throws(check({ http: { host: '0.0.0.0' } }), {
      code: 'CLEARWAY_BIND_REFUSED',
      message: /0\.0\.0\.0[\s\S]*auth:\n {2}users:\n {4}- name: admin\n {6}password: .*hash-password/,
    });
  });

  it('allows HTTP elsewhere with a user or a token', () => {
    assert.doesNotThrow(check({ http: { host: '0.0.0.0' }, auth: { tokens: [token] } }));
  });

  it('refuses RTMP elsewhere while a pushed stream has no key', () => {
    const streams = { door: { source: 'push' }, gate: { source: 'push', key: 'k' } };
    assert.throws(check({ rtmp: { host: '0.0.0.0' }, streams, auth: { tokens: [token] } }), {
      code: 'CLEARWAY_BIND_REFUSED',
      message: /door[\s\S]*streams:\n {2}door:\n {4}key: /,
    });
    assert.doesNotThrow(check({ rtmp: { host: '0.0.0.0' }, streams: { gate: streams.gate } }));
  });

  it('refuses RTMP elsewhere with allowAny, and ignores a server that is off', () => {
    assert.throws(check({ rtmp: { host: '::', allowAny: true } }), { code: 'CLEARWAY_BIND_REFUSED' });
    assert.doesNotThrow(check({ rtmp: { host: '::', allowAny: true, enabled: false } }));
  });
});
