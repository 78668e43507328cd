import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Attempts } from '../../src/http/attempts.ts';

describe('Attempts', () => {
  it('stops a client after so many failures, until the window ends', () => {
    let now = 0;
    const attempts = new Attempts(3, 60_000, () => now);
    for (let i = 0; i < 3; i++) {
      assert.equal(attempts.wait('10.0.0.1'), 0);
      attempts.fail('10.0.0.1');
      now += 1000;
    }
    assert.equal(attempts.wait('10.0.0.1'), 57);
    assert.equal(attempts.wait('10.0.0.2'), 0);
    now = 60_000;
    assert.equal(attempts.wait('10.0.0.1'), 0);
  });

  for (const [a, b, same] of [
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
    ['2001:db8:1:2::1', '2001:db8:1:3::1', false],
    ['2001:db8::1', '2001:db8:0:0:5::', true],
    ['::1', '::2', true],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.2', false],
  ] as const) {
    it(`takes ${a} and ${b} for ${same ? 'one client' : 'two'}`, () => {
      const attempts = new Attempts(1, 60_000);
      attempts.fail(a);
      assert.equal(attempts.wait(b) > 0, same);
    });
  }

  it('forgets the oldest of very many clients', () => {
    const attempts = new Attempts(1, 60_000);
    for (let i = 0; i <= 10_000; i++) attempts.fail(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`);
    assert.equal(attempts.wait('10.0.0.0'), 0);
    assert.ok(attempts.wait('10.0.0.1') > 0);
  });
});
