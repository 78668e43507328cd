import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { editStream } from '../../src/config/edit.ts';

/** Lines that are gone and lines that are new, in order. */
function changes(before: string, after: string): string[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  let [from, to] = [0, 0];
  while (from < Math.min(old.length, fresh.length) && old[from] === fresh[from]) from++;
  while (to < Math.min(old.length, fresh.length) - from && old.at(-1 - to) === fresh.at(-1 - to)) to++;
  return [
    ...old.slice(from, old.length - to).map((line) => `-${line}`),
    ...fresh.slice(from, fresh.length - to).map((line) => `+${line}`),
  ];
}

const FILE = `http:
#  host: 0.0.0.0        # a setting out of use, in its column
   port: 9000           # three columns

streams:
   # the gate
   gate:
      source: "rtsp://cam/1"     # main
      #strength: 0.3
      bitrate:
         max: 1000000   # DSL
      # more of the gate

   yard: {source: demo}
   # the end
# really
`;

describe('editStream', () => {
  for (const [what, name, patch, expected] of [
    [
      'replaces a value where it stands',
      'gate',
      { source: 'push' },
      ['-      source: "rtsp://cam/1"     # main', '+      source: push     # main'],
    ],
    ['adds a setting at the end of its stream', 'gate', { strength: 0.5 }, ['+      strength: 0.5']],
    [
      'changes a nested setting',
      'gate',
      { bitrate: { max: 2_000_000 } },
      ['-         max: 1000000   # DSL', '+         max: 2000000   # DSL'],
    ],
    ['adds a nested setting', 'gate', { bitrate: { min: 500_000 } }, ['+         min: 500000']],
    ['removes a setting', 'gate', { source: null }, ['-      source: "rtsp://cam/1"     # main']],
    [
      'keeps a stream written in one line in one line',
      'yard',
      { strength: 0.5, bitrate: { max: 1_000_000 } },
      ['-   yard: {source: demo}', '+   yard: { source: demo, strength: 0.5, bitrate: { max: 1000000 } }'],
    ],
    [
      'adds a stream after the last, indented as the others',
      'door',
      { source: 'push', bitrate: { max: 900_000 } },
      ['+   door:', '+      source: push', '+      bitrate:', '+         max: 900000'],
    ],
    [
      'quotes what needs quotes',
      'door',
      { source: '# not: a comment', key: 'yes' },
      ['+   door:', '+      source: "# not: a comment"', '+      key: yes'],
    ],
    ['removes a stream', 'yard', undefined, ['-   yard: {source: demo}']],
    ['changes nothing for an empty patch', 'gate', {}, []],
  ] as const) {
    it(what, () => assert.deepEqual(changes(FILE, editStream(FILE, name, patch)), expected));
  }

  it('adds a stream to the reference file without touching another line', () => {
    const reference = readFileSync(new URL('../../config/clearway.yml', import.meta.url), 'utf8');
    const edited = editStream(reference, 'gate', { source: 'demo' });
    assert.deepEqual(changes(reference, edited), [
      '-streams: {}',
      '+streams:',
      '+  gate:',
      '+    source: demo',
    ]);
    assert.equal(editStream(edited, 'gate', undefined), reference);
  });

  for (const [what, text, expected] of [
    ['an empty file', '', 'streams:\n  a:\n    source: demo\n'],
    ['only comments', '# cameras\n', '# cameras\nstreams:\n  a:\n    source: demo\n'],
    ['a section commented out', 'streams:\n#  b: {source: demo}\n', undefined],
    ['no newline at the end', 'log: {level: info}', 'log: {level: info}\nstreams:\n  a:\n    source: demo\n'],
    [
      'streams in one line',
      'streams: {b: {source: demo}}\n',
      'streams: { b: { source: demo }, a: { source: demo } }\n',
    ],
    [
      'a stream named like a number',
      'streams:\n  5: {source: demo}\n',
      'streams:\n  5: {source: demo}\n  a:\n    source: demo\n',
    ],
    ['a document marker', '---\nstreams:\n  b: {source: demo}\n...\n', undefined],
    ['Windows line ends', 'streams:\r\n  b:\r\n    source: demo\r\n', undefined],
  ] as const) {
    it(`adds to ${what}`, () => {
      const edited = editStream(text, 'a', { source: 'demo' });
      assert.deepEqual(parse(edited).streams.a, { source: 'demo' });
      const others = Object.keys(parse(text)?.streams ?? {});
      assert.deepEqual(Object.keys(parse(edited).streams).sort(), [...others, 'a'].sort());
      if (expected !== undefined) assert.equal(edited, expected);
    });
  }

  it('does not edit through an alias', () => {
    assert.throws(() => editStream('streams:\n  a: &a {source: demo}\n  b: *a\n', 'b', { strength: 0.5 }));
  });
});
