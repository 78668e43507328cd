import { access } from 'node:fs/promises';
import { ClearwayError } from '../contracts/errors.ts';
import type { FileProgress } from '../contracts/file.ts';
import type { JobRunner } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import type { JobFolder } from './folder.ts';
import type { JobMeter } from './meter.ts';
import type { JobTools } from './tools.ts';

export interface AttemptOptions {
  folder: JobFolder;
  tools: JobTools;
  meter: JobMeter;
  /** Seconds. */
  maxDuration: number;
  logger: Logger;
}

/** Frames a second that a video may have which does not say how many it has. */
const MOST_FPS = 240;

/** Makes the runner of the queue: each attempt writes to a file of its own, which becomes the result when it is whole. */
export function attempts({ folder, tools, meter, maxDuration, logger }: AttemptOptions): JobRunner {
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
    const tooLong = new AbortController();
    const mostFrames = maxDuration * (job.input.fps ?? MOST_FPS);
    const signal = AbortSignal.any([options.signal, tooLong.signal]);
    // A file may say that it is shorter than it is, or nothing about it.
    const onProgress = (progress: FileProgress) => {
      if (progress.frames > mostFrames) tooLong.abort();
      options.onProgress(progress);
    };
    const began = performance.now();
    const log = logger.child({ job: job.id });
    log.info({ attempt: job.attempts, ...job.input, settings: job.settings }, 'restoring a file');
    try {
      const request = { input, output, settings: job.settings };
      const result = await tools.restore(request, { signal, onProgress });
      await folder.settle(output, job);
      const seconds = (performance.now() - began) / 1000;
      meter.ran(seconds, result.frames);
      log.info({ ...result, seconds: Math.round(seconds * 10) / 10 }, 'file restored');
      return result;
    } catch (cause) {
      const error = tooLong.signal.aborted ? videoTooLong(maxDuration) : (cause as Error);
      if (options.signal.aborted) log.info('restoring the file was stopped');
      else {
        meter.failed();
        log.warn({ err: error }, `file not restored: ${error.message}`);
      }
      await folder.discard(output);
      throw error;
    }
  };
}

export function videoTooLong(maxDuration: number, duration?: number): ClearwayError {
  const says = duration === undefined ? 'is longer than it says' : `lasts ${Math.round(duration)} s`;
  return new ClearwayError(
    'CLEARWAY_VIDEO_TOO_LONG',
    `The video ${says}; at most ${maxDuration} s are taken (jobs.maxDuration).`,
    { status: 422 },
  );
}
