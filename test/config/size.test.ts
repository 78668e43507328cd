import assert from 'node:assert/strict';
import { it } from 'node:test';
import { sizeText } from '../../src/config/size.ts';

for (const [bytes, text] of [
  [0, '0 B'],
  [1000, '1000 B'],
  [64_811, '63.3 KiB'],
  [64 * 2 ** 20, '64 MiB'],
  [1.5 * 2 ** 30, '1.5 GiB'],
  [2 ** 60, '1048576 TiB'],
] as const) {
  it(`${bytes} bytes are ${text}`, () => assert.equal(sizeText(bytes), text));
}
