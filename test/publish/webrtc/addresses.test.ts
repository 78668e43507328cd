import assert from 'node:assert/strict';
import { syncBuiltinESMExports } from 'node:module';
import os from 'node:os';
import { test } from 'node:test';
import { hostAddresses } from '../../../src/publish/webrtc/addresses.ts';

test('a host that does not tell its interfaces offers what is configured, else loopback', async (t) => {
  // As under systemd's RestrictAddressFamilies without AF_NETLINK.
  const refused = new Error('uv_interface_addresses returned Unknown system error 97');
  t.mock.method(os, 'networkInterfaces', () => {
    throw refused;
  });
  syncBuiltinESMExports();
  const warnings: unknown[] = [];
  const warn = (error: unknown) => warnings.push(error);
  try {
    assert.deepEqual(await hostAddresses([], warn), ['127.0.0.1']);
    assert.deepEqual(await hostAddresses(['203.0.113.7'], warn), ['203.0.113.7']);
    assert.deepEqual(warnings, [refused, refused]);
  } finally {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  }
});
