import type { JobsConfig } from '../config/jobs-schema.ts';
import type { JobQueue } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { EmbeddedQueue } from './embedded-queue.ts';
import { JobFolder } from './folder.ts';
import { JobMeter } from './meter.ts';
import { RedisQueue } from './redis-queue.ts';
import { JobService } from './service.ts';
import type { JobTools } from './tools.ts';

export interface OpenJobsOptions {
  config: JobsConfig;
  /** Absolute path of `jobs.directory`. */
  directory: string;
  tools: JobTools;
  metrics: Metrics;
  logger: Logger;
}

/** Opens folder and queue, and begins to work. Throws CLEARWAY_CONFIG_INVALID. */
export async function openJobs(options: OpenJobsOptions): Promise<JobService> {
  const { config, directory, tools, metrics, logger } = options;
  const folder = await JobFolder.open(directory, config);
  const { concurrency, takeover, redis } = config;
  const queue: JobQueue =
    redis === undefined
      ? new EmbeddedQueue(folder.queue, { concurrency, logger })
      : new RedisQueue({ url: redis, concurrency, takeover, logger });
  const service = new JobService({ config, queue, folder, tools, meter: new JobMeter(metrics), logger });
  await service.start();
  return service;
}
