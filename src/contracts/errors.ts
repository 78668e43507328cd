import type { StreamStatus } from './stream.ts';

/** Every error an operator or a caller can meet, by code. The sentence says what to do about it. */
export type ErrorCode =
  | 'CLEARWAY_CONFIG_INVALID'
  | 'CLEARWAY_CONFIG_READONLY'
  | 'CLEARWAY_BIND_REFUSED'
  | 'CLEARWAY_PORT_IN_USE'
  | 'CLEARWAY_DISK_FULL'
  | 'CLEARWAY_FFMPEG_MISSING'
  | 'CLEARWAY_URL_REFUSED'
  | 'CLEARWAY_SOURCE_UNREACHABLE'
  | 'CLEARWAY_SOURCE_UNAUTHORIZED'
  | 'CLEARWAY_SOURCE_NOT_FOUND'
  | 'CLEARWAY_SOURCE_NOT_VIDEO'
  | 'CLEARWAY_SOURCE_NO_VIDEO'
  | 'CLEARWAY_SOURCE_STALLED'
  | 'CLEARWAY_SOURCE_ENDED'
  | 'CLEARWAY_SOURCE_UNSUPPORTED'
  | 'CLEARWAY_PICTURE_SIZE'
  | 'CLEARWAY_PUBLISHER_REFUSED'
  | 'CLEARWAY_MODEL_INVALID'
  | 'CLEARWAY_MODEL_NOT_FOUND'
  | 'CLEARWAY_INFERENCE_FAILED'
  | 'CLEARWAY_PROVIDER_UNAVAILABLE'
  | 'CLEARWAY_ENCODER_FAILED'
  | 'CLEARWAY_RESTORER_DOWN'
  | 'CLEARWAY_STREAM_NOT_FOUND'
  | 'CLEARWAY_STREAM_EXISTS'
  | 'CLEARWAY_STREAM_OFFLINE'
  | 'CLEARWAY_SESSION_NOT_FOUND'
  | 'CLEARWAY_SDP_INVALID'
  | 'CLEARWAY_OFFER_UNSUPPORTED'
  | 'CLEARWAY_PRECONDITION_REQUIRED'
  | 'CLEARWAY_PRECONDITION_FAILED'
  | 'CLEARWAY_OVERLOADED'
  | 'CLEARWAY_RATE_LIMITED'
  | 'CLEARWAY_UNAUTHORIZED'
  | 'CLEARWAY_FORBIDDEN'
  | 'CLEARWAY_BAD_REQUEST'
  | 'CLEARWAY_NOT_FOUND'
  | 'CLEARWAY_PAYLOAD_TOO_LARGE'
  | 'CLEARWAY_UNSUPPORTED_MEDIA_TYPE'
  | 'CLEARWAY_VIDEO_TOO_LONG'
  | 'CLEARWAY_JOBS_DISABLED'
  | 'CLEARWAY_JOB_NOT_FOUND'
  | 'CLEARWAY_JOB_NOT_DONE'
  | 'CLEARWAY_JOB_CANCELLED'
  | 'CLEARWAY_JOB_ABANDONED'
  | 'CLEARWAY_FRAME_NOT_FOUND'
  | 'CLEARWAY_QUEUE_DOWN'
  | 'CLEARWAY_UPLOAD_NOT_FOUND'
  | 'CLEARWAY_UPLOAD_INCOMPLETE'
  | 'CLEARWAY_INTERNAL';

export interface ErrorOptions {
  /** Whether trying the same thing again may work. */
  retryable?: boolean;
  /** HTTP status when the error answers a request (default 500). */
  status?: number;
  /** Seconds for a Retry-After header. */
  retryAfter?: number;
  cause?: unknown;
}

/** The one error class of Clearway: a stable `code`, whether to retry, and a sentence that says what to do. */
export class ClearwayError extends Error {
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly status: number;
  readonly retryAfter: number | undefined;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ClearwayError';
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.status = options.status ?? 500;
    this.retryAfter = options.retryAfter;
  }
}

/**
 * For whoever asks for a stream's picture while there is none: why, with the code of its error, and when to ask again,
 * as its status has them.
 */
export function streamOffline(
  { name, state, cause, error, retryAt, fps }: StreamStatus,
  why = state === 'live' || fps > 0
    ? 'it is about to come'
    : state === 'connecting'
      ? `it is connecting (${cause})`
      : error
        ? `${cause.replace(/\.$/, '')} (${error.code})`
        : cause,
): ClearwayError {
  const wait = retryAt === undefined ? 2 : (Date.parse(retryAt) - Date.now()) / 1000;
  return new ClearwayError('CLEARWAY_STREAM_OFFLINE', `Stream ${name} has no picture now: ${why}.`, {
    status: 503,
    retryable: true,
    retryAfter: state === 'disabled' ? 60 : Math.max(2, wait),
  });
}

/** The plain form of an error, for IPC and for stream state. */
export interface ErrorInfo {
  code: ErrorCode;
  message: string;
  retryable: boolean;
}

export function errorInfo(error: unknown): ErrorInfo {
  if (error instanceof ClearwayError) {
    return { code: error.code, message: error.message, retryable: error.retryable };
  }
  return {
    code: 'CLEARWAY_INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    retryable: true,
  };
}
