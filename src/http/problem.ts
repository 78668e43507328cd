import { STATUS_CODES } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ZodError } from 'zod';
import { ClearwayError, type ErrorCode } from '../contracts/errors.ts';
import { redact } from '../telemetry/redact.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** The body of every error answer (RFC 9457). */
export interface Problem {
  /** Always `about:blank`: `code` is the stable name of the problem, `title` the HTTP phrase (RFC 9457, 4.2.1). */
  type: 'about:blank';
  title: string;
  status: number;
  code: ErrorCode;
  /** What went wrong and what to do about it. Credentials in URLs are redacted. */
  detail: string;
  /** Path of the request, without its query. */
  instance: string;
  /** Whether the same request may succeed later. */
  retryable: boolean;
}

const CODE_OF_STATUS: Record<number, ErrorCode> = {
  401: 'CLEARWAY_UNAUTHORIZED',
  403: 'CLEARWAY_FORBIDDEN',
  404: 'CLEARWAY_NOT_FOUND',
  412: 'CLEARWAY_PRECONDITION_FAILED',
  413: 'CLEARWAY_PAYLOAD_TOO_LARGE',
  415: 'CLEARWAY_UNSUPPORTED_MEDIA_TYPE',
  428: 'CLEARWAY_PRECONDITION_REQUIRED',
  429: 'CLEARWAY_RATE_LIMITED',
  503: 'CLEARWAY_OVERLOADED',
};

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

function asClearwayError(error: FastifyError | Error, request: FastifyRequest): ClearwayError {
  if (error instanceof ClearwayError) return error;
  if (error instanceof ZodError) {
    const said = error.issues.map((issue) => `${issue.path.join('.') || 'body'}: ${issue.message}`);
    return new ClearwayError('CLEARWAY_BAD_REQUEST', said.join('; '), { status: 400 });
  }
  const { statusCode } = error as FastifyError;
  if (statusCode === 415) {
    // What curl sends with -d unless it is told otherwise is the usual one, and Fastify does not name it.
    const sent = request.headers['content-type'];
    return new ClearwayError(
      'CLEARWAY_UNSUPPORTED_MEDIA_TYPE',
      `${sent ? `A body of ${sent}` : 'A body without Content-Type'} is not taken here; JSON needs Content-Type: application/json, and /docs shows each request.`,
      { status: 415 },
    );
  }
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    const code = CODE_OF_STATUS[statusCode] ?? 'CLEARWAY_BAD_REQUEST';
    return new ClearwayError(code, error.message, { status: statusCode, retryable: statusCode === 429 });
  }
  // Anything else is a fault of ours: its text may hold paths or secrets, so only the log gets it.
  return new ClearwayError(
    'CLEARWAY_INTERNAL',
    `The gateway failed at this request; its log says why, under reqId ${request.id}.`,
    { status: 500, retryable: true, cause: error },
  );
}

/** Answers with a problem+json body and, when the error says so, Retry-After. */
function sendProblem(reply: FastifyReply, error: ClearwayError): FastifyReply {
  const problem: Problem = {
    type: 'about:blank',
    title: STATUS_CODES[error.status] ?? 'Error',
    status: error.status,
    code: error.code,
    detail: redact(error.message),
    instance: pathOf(reply.request),
    retryable: error.retryable,
  };
  if (error.retryAfter !== undefined) reply.header('retry-after', String(Math.ceil(error.retryAfter)));
  // Serialised here, because a route's response schema for its successes must not strip these fields.
  return reply
    .code(error.status)
    .header('cache-control', 'no-store')
    .type(PROBLEM_TYPE)
    .serializer((body: Problem) => JSON.stringify(body))
    .send(problem);
}

/** Fastify error handler: a ClearwayError keeps its status and code, Fastify's own errors get theirs. */
export function problemHandler(error: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  const known = asClearwayError(error, request);
  // Faults are for the log; an offline stream or a full house is for the caller, who may ask every second.
  if (known.status === 500 && !request.raw.destroyed) {
    request.log.error({ err: error, method: request.method, path: pathOf(request) }, 'request failed');
  }
  sendProblem(reply, known);
}

function notFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(
    reply,
    new ClearwayError(
      'CLEARWAY_NOT_FOUND',
      `There is no ${request.method} ${pathOf(request)} here; see /docs.`,
      {
        status: 404,
      },
    ),
  );
}

/** Answers some requests for an unknown route; undefined leaves one to others. */
export type NotFoundPage = (
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply | undefined>;

/** Makes every error and every unknown route of this Fastify scope, but for what `page` answers, problem+json. */
export function registerProblems(app: FastifyInstance, page?: NotFoundPage): void {
  app.setErrorHandler(problemHandler);
  app.setNotFoundHandler(
    async (request, reply) => (await page?.(request, reply)) ?? notFound(request, reply),
  );
}
