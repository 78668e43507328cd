import { ClearwayError } from '../contracts/errors.ts';
import type { Job } from '../contracts/jobs.ts';

/** What is not the file's fault. */
const STATUSES: Partial<Record<ClearwayError['code'], number>> = {
  CLEARWAY_DISK_FULL: 507,
  CLEARWAY_RESTORER_DOWN: 503,
  CLEARWAY_FFMPEG_MISSING: 500,
  CLEARWAY_ENCODER_FAILED: 500,
  CLEARWAY_INFERENCE_FAILED: 500,
  CLEARWAY_JOB_ABANDONED: 500,
  CLEARWAY_SOURCE_NOT_FOUND: 500,
  CLEARWAY_SOURCE_STALLED: 500,
  CLEARWAY_INTERNAL: 500,
};

/** Why a job that failed or was cancelled has no result, as an answer. */
export function failureOf({ state, error }: Job): ClearwayError {
  if (state === 'cancelled' || !error) {
    return new ClearwayError('CLEARWAY_JOB_CANCELLED', 'The job was cancelled: it has no result.', {
      status: 410,
    });
  }
  return new ClearwayError(error.code, error.message, {
    status: STATUSES[error.code] ?? 422,
    retryable: error.retryable,
  });
}
