import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { it } from 'node:test';
import { metricsDocs } from '../../scripts/generate-metrics-docs.ts';

it('docs/metrics.md has the metrics of the code and the rules as they are', () => {
  const written = readFileSync(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  assert.equal(written, metricsDocs(), 'run: node scripts/generate-metrics-docs.ts');
});
