import { access, constants, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Redis } from 'ioredis';
import type { JobsConfig } from '../config/jobs-schema.ts';
import { sizeText } from '../config/size.ts';
import { ClearwayError } from '../contracts/errors.ts';

const REDIS_TIMEOUT = 3000;

/** What there is for restoring files, a sentence each, nothing changed. Throws a ClearwayError for what is wrong. */
export async function describeJobs({ minFree, redis }: JobsConfig, directory: string): Promise<string[]> {
  const { bavail, bsize } = await statfs(await writable(directory));
  const free = bavail * bsize;
  if (free < minFree) {
    throw new ClearwayError(
      'CLEARWAY_DISK_FULL',
      `jobs.directory ${directory} has ${sizeText(free)} left and jobs.minFree is ${sizeText(minFree)}: uploads will be refused.`,
    );
  }
  const place = `${directory}: ${sizeText(free)} left`;
  if (redis === undefined) return [place];
  return [place, `the queue in Redis answers (version ${await redisVersion(redis)})`];
}

/** The directory, or the closest one above it that is there already. */
async function writable(directory: string): Promise<string> {
  for (let at = directory; ; at = dirname(at)) {
    try {
      await access(at, constants.W_OK | constants.X_OK);
      return at;
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT' && at !== dirname(at)) continue;
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `jobs.directory ${directory} cannot be written to (${code} at ${at}): files will not be restored.`,
        { cause },
      );
    }
  }
}

async function redisVersion(url: string): Promise<string> {
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: REDIS_TIMEOUT,
    commandTimeout: REDIS_TIMEOUT,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  client.on('error', () => {});
  try {
    const info = await client.info('server');
    return /redis_version:(\S+)/.exec(info)?.[1] ?? 'unknown';
  } catch (cause) {
    throw new ClearwayError(
      'CLEARWAY_QUEUE_DOWN',
      `Redis (jobs.redis) does not answer: ${(cause as Error).message}.`,
      { cause },
    );
  } finally {
    client.disconnect();
  }
}
