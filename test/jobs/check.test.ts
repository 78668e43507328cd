import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { it } from 'node:test';
import { jobsSchema } from '../../src/config/jobs-schema.ts';
import { describeJobs } from '../../src/jobs/check.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { startRedis } from './redis.ts';

it('doctor looks at the directory and at Redis, and makes nothing', async () => {
  await using directory = await temporaryDirectory();
  const where = join(directory.path, 'data', 'jobs');
  const config = jobsSchema.parse({ minFree: 0 });
  assert.match((await describeJobs(config, where)).join(), /data\/jobs: [\d.]+ [GT]iB left$/);
  assert.deepEqual(await readdir(directory.path), []);
  await assert.rejects(describeJobs({ ...config, minFree: 2 ** 60 }, where), { code: 'CLEARWAY_DISK_FULL' });
  await writeFile(join(directory.path, 'data'), 'a file is in the way');
  await assert.rejects(describeJobs(config, where), { code: 'CLEARWAY_CONFIG_INVALID' });

  const redis = await startRedis();
  const shared = { ...config, redis: redis.url };
  assert.match((await describeJobs(shared, directory.path))[1]!, /Redis answers \(version \d/);
  await redis[Symbol.asyncDispose]();
  await assert.rejects(describeJobs(shared, directory.path), { code: 'CLEARWAY_QUEUE_DOWN' });
});
