import { copyFile } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { z } from 'zod';
import { jobsSchema } from '../../src/config/jobs-schema.ts';
import { openJobs } from '../../src/jobs/open.ts';
import type { JobService } from '../../src/jobs/service.ts';
import type { JobTools } from '../../src/jobs/tools.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { type Attempt, ManualRunner } from './runner.ts';

export interface TestJobs extends AsyncDisposable {
  jobs: JobService;
  /** Where the files are. */
  directory: string;
  metrics: Metrics;
  /** The n-th restoration, once it has begun. Finishing it makes the result a copy of the original. */
  restoration(n: number): Promise<Attempt>;
  /** How many have begun. */
  readonly begun: number;
}

/**
 * A job service whose files are all 320x240 H.264 and whose restorations end when the test says so.
 * @param where a directory that is there already
 */
export async function openTestJobs(
  settings: z.input<typeof jobsSchema> = {},
  tools: Partial<JobTools> = {},
  where?: string,
): Promise<TestJobs> {
  await using stack = new AsyncDisposableStack();
  const directory = where ?? stack.use(await temporaryDirectory()).path;
  const metrics = new Metrics();
  const runner = new ManualRunner();
  const jobs = await openJobs({
    config: jobsSchema.parse({ minFree: 0, ...settings }),
    directory,
    metrics,
    logger: silentLogger,
    tools: {
      models: [{ name: 'lite', kind: 'restorer', identity: 'a' }],
      look: async () => ({
        input: {
          ...{ container: 'mov,mp4,m4a,3gp,3g2,mj2', codec: 'h264', width: 320, height: 240 },
          ...{ hasAudio: false, duration: 2, fps: 25, frames: 50 },
        },
        fitsMp4: true,
      }),
      fetch: async () => ({
        body: Readable.from([Buffer.from('fetched')]),
        name: 'far.mp4',
        bytes: undefined,
      }),
      restore: async (request, options) => {
        const result = await runner.run({ id: request.input } as never, options);
        await copyFile(request.input, request.output);
        return result;
      },
      frameTimes: async () => [0, 0.04],
      frameJpeg: async (path, seconds) => Buffer.from(`${path} at ${seconds}`),
      ...tools,
    },
  });
  stack.defer(() => jobs.close());
  const owned = stack.move();
  return {
    jobs,
    directory,
    metrics,
    restoration: (n) => runner.attempt(n),
    get begun() {
      return runner.attempts.length;
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
