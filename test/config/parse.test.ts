import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseConfig, resolveStream } from '../../src/config/parse.ts';
import { ClearwayError } from '../../src/contracts/errors.ts';

function complaints(text: string): string[] {
  try {
    parseConfig(text, 'c.yml');
  } catch (error) {
    assert.ok(error instanceof ClearwayError);
    assert.equal(error.code, 'CLEARWAY_CONFIG_INVALID');
    return error.message.split('\n');
  }
  assert.fail('the configuration was accepted');
}

describe('parseConfig', () => {
  it('fills in every default of an empty file', () => {
    const { config } = parseConfig('', 'c.yml');
    assert.equal(config.http.port, 8080);
    assert.equal(config.http.host, '127.0.0.1');
    assert.equal(config.hls.part, 400);
    assert.deepEqual(Object.keys(config.streams), []);
  });

  it('takes any words for a title', () => {
    for (const title of ['Küche, Hintertür', 'حديقة', '大門 "2": #1', '👩‍🌾 barn', 'ü'.repeat(80)]) {
      const { config } = parseConfig(
        JSON.stringify({ streams: { gate: { source: 'demo', title } } }),
        'c.yml',
      );
      assert.equal(config.streams.gate?.title, title);
    }
  });

  it('takes a section whose lines are all commented out as absent', () => {
    const { config } = parseConfig('http:\n#  port: 1\nstreams:\n# gate: {}\n', 'c.yml');
    assert.equal(config.http.port, 8080);
  });

  it('lays a stream over the defaults, and the defaults over the built-in ones', () => {
    const { config } = parseConfig(
      'defaults: {strength: 0.5, smoothing: 0.2, bitrate: {max: 1000000}}\n' +
        'streams:\n  gate: {source: demo, strength: 1, bitrate: {min: 200000}}\n',
      'c.yml',
    );
    const { gate } = config.streams;
    assert.equal(gate?.strength, 1);
    assert.equal(gate?.smoothing, 0.2);
    assert.equal(gate?.latencyBudget, 150);
    assert.deepEqual(gate?.bitrate, { min: 200_000, start: 1_000_000, max: 1_000_000 });
  });

  it('knows no stream by the name of an object method unless it is configured', () => {
    assert.equal(parseConfig('', 'c.yml').config.streams.constructor, undefined);
    const { config } = parseConfig('streams: {constructor: {source: demo}}', 'c.yml');
    assert.equal((config.streams.constructor as unknown as { source: string }).source, 'demo');
  });

  for (const [what, text, expected] of [
    ['a value out of range', 'http:\n  port: 80800', /^c\.yml:2:9 http\.port: must be 0 to 65535/],
    [
      'a mistyped key',
      'streams:\n  gate:\n    source: demo\n    strenght: 1',
      /^c\.yml:4:5 streams\.gate\.strenght: unknown key; did you mean "strength"\?$/,
    ],
    [
      'an unknown key',
      'log: {zzzzzzzz: 1}',
      /^c\.yml:1:7 log\.zzzzzzzz: unknown key; known here: level, format$/,
    ],
    [
      'a wrong word',
      'streams:\n  gate: {source: demo, transport: tpc}',
      /^c\.yml:2:35 streams\.gate\.transport: must be one of auto, tcp, udp \(RTSP transport/,
    ],
    [
      'a missing key',
      'streams:\n  gate:\n    model: lite',
      /^c\.yml:2:3 streams\.gate\.source: is required \(rtsp/,
    ],
    [
      'a bad duration',
      'defaults:\n  latencyBudget: 5 parsecs',
      /^c\.yml:2:18 defaults\.latencyBudget: write a duration such as 250ms/,
    ],
    [
      'a bad stream name',
      'streams:\n  bad name: {source: demo}',
      /^c\.yml:2:3 streams\.bad name: use 1 to 64/,
    ],
    [
      'a title of two lines',
      'streams:\n  gate:\n    title: "a\\nb"\n    source: demo',
      /^c\.yml:3:12 streams\.gate\.title: write words, without line breaks/,
    ],
    ['a title of nothing', "streams: {gate: {source: demo, title: ' '}}", /gate\.title: write words/],
    [
      'a title that turns text around',
      'streams: {gate: {source: demo, title: "a\\u202Eb"}}',
      /gate\.title: write words/,
    ],
    [
      'a title too long',
      `streams: {gate: {source: demo, title: ${'ü'.repeat(81)}}}`,
      /gate\.title: .*at most 80/,
    ],
    ['a title for all', 'defaults: {title: Gate}', /defaults\.title: unknown key/],
    [
      'a model outside models/',
      'defaults: {model: ../../etc}',
      /^c\.yml:1:19 defaults\.model: name a directory/,
    ],
    [
      'a bitrate range upside down',
      'defaults: {bitrate: {min: 900000, max: 100000}}',
      /bitrate\.max: must not be below/,
    ],
    [
      'a conflict of a stream with the defaults',
      'defaults: {bitrate: {min: 5000000}}\nstreams:\n  a: {source: demo, bitrate: {max: 100000}}',
      /^c\.yml:3:36 streams\.a\.bitrate\.max/,
    ],
    ['a number where a map belongs', 'http: 8080', /^c\.yml:1:7 http: must be a map of settings/],
    ['a list at the top', '- a', /c\.yml:1:1: must be a map/],
    ['a key given twice', 'http: {}\nlog: {}\nhttp: {}', /^c\.yml:3:1 http: is there twice/],
    ['broken YAML', 'http: [1', /^c\.yml:1:\d+ not valid YAML/],
    ['a second document', 'http: {}\n---\nlog: {}', /^c\.yml:2:\d+ not valid YAML: .*multiple documents/],
    ['a tag', 'streams: !!js/function "x"', /must be a map/],
    [
      'an empty port range',
      'webrtc: {portRange: [5000, 5000]}',
      /webrtc\.portRange: the first port must be below/,
    ],
    [
      'an ICE server without its scheme',
      "webrtc: {iceServers: [{urls: 'turn.example:3478'}]}",
      /webrtc\.iceServers\.0\.urls: write stun:host:port or turn:host:port/,
    ],
    // A browser throws at it: the page's second connection would be none.
    [
      'a TURN server without a password',
      "webrtc: {iceServers: [{urls: 'turn:turn.example:3478', username: u}]}",
      /webrtc\.iceServers\.0: .*TURN server needs username and credential/,
    ],
    // A timer that is to wait longer than 2^31 ms does not wait at all.
    [
      'an idle time that no timer waits for',
      'hls: {idle: 1000h}',
      /^c\.yml:1:13 hls\.idle: must be 1s to 24h/,
    ],
    ['no idle time', 'hls: {idle: 0s}', /^c\.yml:1:13 hls\.idle: must be 1s to 24h/],
    [
      'two users of one name',
      `auth: {tokens: [{name: a, token: 'sha256:${'0'.repeat(64)}'}, {name: a, token: 'sha256:${'1'.repeat(64)}'}]}`,
      /auth\.tokens: two tokens have the same name/,
    ],
  ] as const) {
    it(`says where and why: ${what}`, () => assert.match(complaints(text)[0]!, expected));
  }

  it('lists complaints in the order of the file and never quotes a secret', () => {
    const said = complaints(
      'auth:\n  users:\n    - {name: a, password: hunter2}\nstreams:\n  a: {source: 5, key: [hunter3]}\nlog: {level: loud}\n',
    );
    assert.deepEqual(
      said.map((line) => line.split(' ')[0]),
      ['c.yml:3:27', 'c.yml:5:15', 'c.yml:5:18', 'c.yml:6:14'],
    );
    assert.doesNotMatch(said.join('\n'), /hunter/);
  });

  it('keeps a flood of complaints short', () => {
    const said = complaints(`streams:\n${Array.from({ length: 300 }, (_, i) => `  s${i}: {}`).join('\n')}`);
    assert.equal(said.length, 21);
    assert.equal(said[20], 'and 280 more');
  });

  it('refuses an alias bomb', () => {
    const bomb = [
      'a: &a [x,x,x,x,x,x,x,x,x]',
      ...[...'bcdefgh'].map(
        (name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefg'[i]}`).join(',')}]`,
      ),
    ].join('\n');
    assert.match(complaints(bomb)[0]!, /too many aliases/);
  });

  it('refuses a file of many megabytes before parsing it', () => {
    assert.match(complaints(`# ${'x'.repeat(10 * 1024 * 1024)}`)[0]!, /larger than 512 KiB/);
  });

  it('refuses nesting without end', () => assert.match(complaints('['.repeat(20_000))[0]!, /not valid YAML/));

  it('does not let a file reach an object prototype', () => {
    complaints('__proto__: {polluted: true}');
    complaints('streams: {__proto__: {source: demo}}');
    assert.equal(({} as Record<string, unknown>).polluted, undefined);
  });
});

describe('resolveStream', () => {
  it('fills a stream that is in no file from the defaults', () => {
    const stream = resolveStream({ strength: 0.3, bitrate: { max: 3_000_000 } }, { source: 'push' });
    assert.equal(stream.strength, 0.3);
    assert.equal(stream.bitrate.max, 3_000_000);
    assert.equal(stream.model, 'auto');
  });

  it('answers a wrong one as a bad request that names the setting', () => {
    assert.throws(() => resolveStream({}, { source: 'push', strength: 7 }), {
      code: 'CLEARWAY_BAD_REQUEST',
      status: 400,
      message: /^strength: must be 0 to 1/,
    });
  });
});
