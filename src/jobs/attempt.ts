import { access } from 'node:fs/promises';
import { ClearwayError } from '../contracts/errors.ts';
import type { JobRunner } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import type { JobFolder } from './folder.ts';
import type { JobMeter } from './meter.ts';
import type { JobTools } from './tools.ts';

export interface AttemptOptions {
  folder: JobFolder;
  tools: JobTools;
  meter: JobMeter;
  logger: Logger;
}

/** Makes the runner of the queue: each attempt writes to a file of its own, which becomes the result when it is whole. */
export function attempts({ folder, tools, meter, logger }: AttemptOptions): JobRunner {
  return async (job, options) => {
    const input = folder.source(job.id);
    await access(input).catch((cause) => {
      throw new ClearwayError(
        'CLEARWAY_SOURCE_NOT_FOUND',
        'The file of this job is not in jobs.directory: gateways that share jobs.redis must share that directory too.',
        { cause },
      );
    });
    const output = folder.attempt(job);
    const began = performance.now();
    const log = logger.child({ job: job.id });
    log.info({ attempt: job.attempts, ...job.input, settings: job.settings }, 'restoring a file');
    try {
      const result = await tools.restore({ input, output, settings: job.settings }, options);
      await folder.settle(output, job);
      const seconds = (performance.now() - began) / 1000;
      meter.ran(seconds, result.frames);
      log.info({ ...result, seconds: Math.round(seconds * 10) / 10 }, 'file restored');
      return result;
    } catch (error) {
      const { message } = error as Error;
      if (options.signal.aborted) log.info('restoring the file was stopped');
      else {
        meter.failed();
        log.warn({ err: error }, `file not restored: ${message}`);
      }
      await folder.discard(output);
      throw error;
    }
  };
}
