import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { diffConfig, isEmptyDiff } from '../../src/config/diff.ts';
import { parseConfig } from '../../src/config/parse.ts';

const config = (text: string) => parseConfig(text, 'c.yml').config;

describe('diffConfig', () => {
  it('is empty for two ways of writing the same', () => {
    const a = config('streams: {gate: {source: demo, latencyBudget: 0.15s}}');
    const b = config('http: {port: 8080}\ndefaults: {strength: 1}\nstreams:\n  gate: {source: demo}\n');
    assert.ok(isEmptyDiff(diffConfig(a, b)));
  });

  it('names added and removed streams and the settings that changed', () => {
    const before = config('streams: {gate: {source: demo}, yard: {source: demo}}');
    const after = config(
      'http: {port: 1}\nlog: {level: warn}\nstreams: {gate: {source: push, key: k}, door: {source: push}}',
    );
    assert.deepEqual(diffConfig(after, before), {
      added: ['door'],
      removed: ['yard'],
      changed: [{ name: 'gate', fields: ['source', 'key'] }],
      global: ['http.port', 'log.level'],
    });
    assert.deepEqual(diffConfig(before, after).changed[0]?.fields.toSorted(), ['key', 'source']);
  });

  it('names what changed in each section', () => {
    const changed = config(`
      {http: {port: 1}, auth: {tokens: [{name: a, token: 'sha256:${'0'.repeat(64)}'}]}, rtmp: {port: 1},
      webrtc: {maxViewers: 1}, hls: {segments: 3}, restorer: {threads: 1}, jobs: {concurrency: 2}, log: {level: warn}}`);
    const { global } = diffConfig(changed, config('{}'));
    const sections = Object.keys(changed).filter((name) => name !== 'streams');
    assert.deepEqual(global.map((key) => key.split('.')[0]).toSorted(), sections.toSorted());
  });

  it('a changed default changes every stream that does not say otherwise', () => {
    const streams = 'streams: {gate: {source: demo}, yard: {source: demo, strength: 1}}';
    const diff = diffConfig(config(`defaults: {strength: 0.5}\n${streams}`), config(streams));
    assert.deepEqual(diff.changed, [{ name: 'gate', fields: ['strength'] }]);
  });
});
