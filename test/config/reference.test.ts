import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, it } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { configJsonSchema, type JsonSchema, schemaAt } from '../../src/config/explain.ts';
import { parseConfig } from '../../src/config/parse.ts';
import { configSchema } from '../../src/config/schema.ts';

const read = (name: string) => readFileSync(new URL(`../../config/${name}`, import.meta.url), 'utf8');
const reference = read('clearway.yml');
/** The reference with every setting taken out of its comment: `#key:` is a setting, `# text` is prose. */
const uncommented = reference.replace(/^streams: \{\}$/m, '').replace(/^#(?=[ a-z-])(?! [^ ])/gm, '');

type Tree = Record<string, unknown>;

/** Every place the schema knows that holds a value rather than a map. */
function leaves(schema: JsonSchema, path: string[] = []): string[] {
  if (schema.properties) {
    return Object.entries(schema.properties).flatMap(([key, inner]) => leaves(inner, [...path, key]));
  }
  if (typeof schema.additionalProperties === 'object') {
    return leaves(schema.additionalProperties, [...path, '*']);
  }
  const list = Array.isArray(schema.items) ? undefined : schema.items;
  return list?.properties ? leaves(list, [...path, '*']) : [path.join('.')];
}

function has(tree: unknown, path: string[]): boolean {
  const [step, ...rest] = path;
  if (step === undefined) return true;
  if (typeof tree !== 'object' || tree === null) return false;
  if (step === '*') return Object.values(tree).some((inner) => has(inner, rest));
  return Object.hasOwn(tree, step) && has((tree as Tree)[step], rest);
}

describe('config/clearway.yml', () => {
  it('is a valid configuration with no stream and only defaults', () => {
    const { config } = parseConfig(reference, 'clearway.yml');
    assert.ok(isDeepStrictEqual({ ...config, streams: {} }, configSchema.parse({})));
  });

  it('is still valid with every setting uncommented', () => {
    const { config } = parseConfig(uncommented, 'clearway.yml');
    assert.deepEqual(Object.keys(config.streams), ['gate', 'door']);
  });

  it('mentions every setting of the schema', () => {
    const tree = parse(uncommented) as Tree;
    const nested = [
      'webrtc.iceServers.*.urls',
      'webrtc.iceServers.*.username',
      'webrtc.iceServers.*.credential',
    ];
    const inDefaults = Object.keys((tree.defaults as Tree) ?? {});
    const missing = leaves(configJsonSchema()).filter((path) => {
      const steps = path.split('.');
      if (steps[0] === 'streams' && inDefaults.includes(steps[2]!)) return false;
      return !nested.includes(path) && !has(tree, steps);
    });
    assert.deepEqual(missing, []);
    for (const path of nested)
      assert.match(reference, new RegExp(`iceServers: .*${path.split('.').at(-1)}: `));
  });

  it('shows the true default of every setting', () => {
    const { config } = parseConfig(uncommented, 'clearway.yml');
    const defaults = configSchema.parse({ streams: { gate: { source: 'x' } } });
    const { tls: _tls, ...http } = config.http;
    const { workers: _workers, ...webrtc } = config.webrtc;
    const { threads: _threads, ...restorer } = config.restorer;
    const { source: _source, ...gate } = config.streams.gate!;
    const { source: _none, ...plain } = defaults.streams.gate!;
    assert.deepEqual(
      { http, webrtc, restorer, rtmp: config.rtmp, hls: config.hls, log: config.log, gate },
      {
        http: defaults.http,
        webrtc: defaults.webrtc,
        restorer: defaults.restorer,
        rtmp: defaults.rtmp,
        hls: defaults.hls,
        log: defaults.log,
        gate: plain,
      },
    );
  });
});

describe('config/clearway.schema.json', () => {
  it('is what the schema generates (node scripts/generate-schema.ts)', () => {
    assert.deepEqual(
      JSON.parse(read('clearway.schema.json')),
      JSON.parse(JSON.stringify(configJsonSchema())),
    );
  });

  it('leads an editor to a nested setting', () => {
    const strength = schemaAt(configJsonSchema(), ['streams', 'any', 'strength']);
    assert.deepEqual([strength?.minimum, strength?.maximum, strength?.default], [0, 1, 1]);
  });
});
