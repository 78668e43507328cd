import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JobStatus } from '../../../src/contracts/jobs.ts';
import { Jobs } from '../../../src/web/files/jobs.ts';

const running = { id: 'a', state: 'running', created: '2026-11-26T01:00:00.000Z' } as JobStatus;
const done: JobStatus = { ...running, state: 'done' };

test('a job that is over stays over when an older answer comes late', () => {
  const jobs = new Jobs();
  jobs.put(done);
  jobs.put(running);
  assert.equal(jobs.get('a')?.state, 'done');
  // The same request, made anew after the first was removed.
  jobs.put({ ...running, created: '2026-11-26T02:00:00.000Z' });
  assert.equal(jobs.get('a')?.state, 'running');
});

test('the list of a new connection replaces what was known', () => {
  const jobs = new Jobs();
  jobs.put(done);
  jobs.apply({ type: 'jobs', jobs: [{ ...running, id: 'b' }] });
  assert.deepEqual(
    jobs.list().map(({ id }) => id),
    ['b'],
  );
  jobs.apply({ type: 'job-removed', id: 'b' });
  assert.deepEqual(jobs.list(), []);
});

test('newest first', () => {
  const jobs = new Jobs();
  jobs.put(running);
  jobs.put({ ...running, id: 'b', created: '2026-11-26T03:00:00.000Z' });
  assert.deepEqual(
    jobs.list().map(({ id }) => id),
    ['b', 'a'],
  );
});
