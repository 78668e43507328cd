const SPS = 7;
const PPS = 8;
const AUD = 9;
const START_CODE = Buffer.from([0, 0, 1]);

/**
 * Parts the parameter sets of a key access unit from its picture. An `avc1` sample entry holds SPS and PPS itself, and
 * its samples must not (ISO 14496-15 §5.4.2). Takes and gives Annex B; `sets` is empty when none precede the picture.
 */
export function splitParameterSets(unit: Uint8Array): { sets: Uint8Array; picture: Uint8Array } {
  const data = Buffer.from(unit.buffer, unit.byteOffset, unit.byteLength);
  const sets: Buffer[] = [];
  const kept: Buffer[] = [];
  let at = data.indexOf(START_CODE);
  while (at >= 0) {
    const type = data[at + 3]! & 0x1f;
    if (type >= 1 && type <= 5) break;
    const next = data.indexOf(START_CODE, at + 3);
    const nal = data.subarray(at, next < 0 ? data.length : next);
    if (type === SPS || type === PPS) sets.push(nal);
    else if (type !== AUD) kept.push(nal);
    at = next;
  }
  const slices = at < 0 ? [] : [data.subarray(at)];
  return {
    sets: Buffer.concat(sets),
    picture: kept.length === 0 && slices.length === 1 ? slices[0]! : Buffer.concat([...kept, ...slices]),
  };
}
