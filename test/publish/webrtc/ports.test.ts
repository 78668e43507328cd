import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostCandidates, usableCandidates } from '../../../src/publish/webrtc/candidates.ts';
import { PortPairs, splitRange } from '../../../src/publish/webrtc/ports.ts';

test('a range is cut into parts that do not overlap and leave nothing usable out', () => {
  assert.deepEqual(splitRange([50_000, 50_999], 2), [
    [50_000, 50_499],
    [50_500, 50_999],
  ]);
  assert.deepEqual(splitRange([50_000, 50_006], 2), [
    [50_000, 50_003],
    [50_004, 50_005],
  ]);
});

test('a range too small for every worker serves fewer, one too small for anybody none', () => {
  assert.equal(splitRange([50_000, 50_003], 8).length, 2);
  assert.deepEqual(splitRange([50_000, 50_000], 2), []);
  assert.deepEqual(splitRange([50_001, 50_000], 2), []);
});

test('pairs run out and come back last', () => {
  const pairs = new PortPairs([10, 14], 0);
  const first = pairs.take();
  assert.deepEqual(first, [10, 11]);
  assert.deepEqual(pairs.take(), [12, 13]);
  assert.equal(pairs.take(), undefined);
  pairs.give(first!);
  assert.deepEqual(pairs.take(), [10, 11]);
});

test('hostile candidates are left out and their number is bounded', () => {
  assert.deepEqual(
    usableCandidates([
      'candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host generation 3 ufrag x',
      'candidate:2 1 udp 2130706431 metadata.internal 50000 typ host',
      'candidate:3 2 udp 2130706431 192.0.2.1 50000 typ host',
      'candidate:4 1 tcp 2130706431 192.0.2.1 9 typ host tcptype active',
      'candidate:5 1 udp 2130706431 192.0.2.1 99999 typ host',
      'candidate:6 1 udp x 192.0.2.1 50000 typ host',
      'candidate:7 1 udp 1 192.0.2.1 50000 typ evil',
      '',
    ]),
    ['1 1 udp 2130706431 192.0.2.1 50000 typ host'],
  );
  const many = Array.from({ length: 1000 }, (_, i) => `candidate:${i} 1 udp 1 192.0.2.1 50000 typ host`);
  assert.equal(usableCandidates(many).length, 32);
});

test('every address is offered with the port of its family', () => {
  const lines = hostCandidates(['192.0.2.1', '2001:db8::1', '198.51.100.1'], { 4: 50_000 });
  assert.deepEqual(
    lines.map((line) => line.split(' ').slice(4, 6)),
    [
      ['192.0.2.1', '50000'],
      ['198.51.100.1', '50000'],
    ],
  );
  assert.ok(Number(lines[0]!.split(' ')[3]) > Number(lines[1]!.split(' ')[3]));
});
