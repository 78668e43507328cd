import type { ModelInfo, RtmpInfo } from '../../contracts/control.ts';
import type { ErrorCode } from '../../contracts/errors.ts';
import type { JobLimits, JobSettings, JobStatus } from '../../contracts/jobs.ts';
import type { StreamStatus } from '../../contracts/stream.ts';

/** What a person can set on a camera; the same names as in clearway.yml. */
export interface CameraSettings {
  /** What people see in place of the name. */
  title: string;
  source: string;
  transport: 'auto' | 'tcp' | 'udp';
  onDemand: boolean;
  /** What a publisher must know; `***` for one that is set. */
  key: string;
  model: string;
  strength: number;
  smoothing: number;
  /** Arrival to encoded picture, ms. */
  latencyBudget: number;
}

export interface Session {
  /** Whether the gateway asks for a login at all. */
  auth: boolean;
  user?: {
    name: string;
    role: 'read' | 'admin';
    /** The streams the role is about; `*` is every one. */
    streams?: string[];
  };
}

/** How files are to be restored; what is left out is as the gateway has it by default. */
export type FileChoices = Partial<Omit<JobSettings, 'container'>>;

/** A file to restore: one that was uploaded, or one the gateway fetches. */
export type JobRequest = FileChoices & { name?: string } & ({ upload: string } | { url: string });

/** An answer that was not the one wanted: problem+json in words, or no answer at all (`status` 0). */
export class ApiError extends Error {
  readonly status: number;
  /** `FOREIGN`: something between here and the gateway answered, not the gateway. */
  readonly code: ErrorCode | 'UNREACHABLE' | 'FOREIGN';
  /** Seconds, from Retry-After. */
  readonly retryAfter: number | undefined;

  constructor(status: number, code: ApiError['code'], message: string, retryAfter?: number) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** An error answer (RFC 9457) in words. */
export function problemFrom(status: number, text: string, retryAfter?: string | null): ApiError {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // Not the gateway's own words; a proxy may have answered.
  }
  const { code, detail, title } = (typeof body === 'object' && body !== null ? body : {}) as {
    code?: ErrorCode;
    detail?: string;
    title?: string;
  };
  const after = Number(retryAfter);
  return new ApiError(
    status,
    code ?? 'FOREIGN',
    detail ?? title ?? `The gateway answered ${status}.`,
    Number.isFinite(after) && after > 0 ? after : undefined,
  );
}

/** Reads an error answer into words. */
export async function problemOf(response: Response): Promise<ApiError> {
  const text = await response.text().catch(() => '');
  return problemFrom(response.status, text, response.headers.get('retry-after'));
}

/** fetch that throws ApiError for every answer outside 2xx and for none at all. */
export async function request(url: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(url, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new ApiError(0, 'UNREACHABLE', 'The gateway does not answer.');
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
  const response = await request(path, {
    method,
    headers: body === undefined ? {} : { 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  return response.status === 204 ? (undefined as T) : ((await response.json()) as T);
}

const jobAt = (id: string): string => `/restore/jobs/${encodeURIComponent(id)}`;
const at = (name: string): string => `/api/v1/streams/${encodeURIComponent(name)}`;

export const api = {
  session: () => json<Session>('GET', '/api/v1/session'),
  login: (user: string, password: string) => json<unknown>('POST', '/api/v1/login', { user, password }),
  logout: () => json<unknown>('POST', '/api/v1/logout', {}),
  streams: () => json<StreamStatus[]>('GET', '/api/v1/streams'),
  /** Status and, beside it, the settings as configured. */
  stream: (name: string) => json<StreamStatus & { settings?: Partial<CameraSettings> }>('GET', at(name)),
  create: (camera: Partial<CameraSettings> & { name: string }) =>
    json<StreamStatus>('POST', '/api/v1/streams', camera),
  /** A `null` removes title or key. */
  update: (
    name: string,
    patch: Partial<Omit<CameraSettings, 'title' | 'key'>> & { title?: string | null; key?: string | null },
  ) => json<StreamStatus>('PATCH', at(name), patch),
  remove: (name: string) => json<void>('DELETE', at(name)),
  models: () => json<ModelInfo[]>('GET', '/api/v1/models'),
  rtmp: () => json<RtmpInfo>('GET', '/api/v1/rtmp'),
  jobs: () => json<{ jobs: JobStatus[]; limits: JobLimits }>('GET', '/restore/jobs'),
  job: (id: string) => json<JobStatus>('GET', jobAt(id)),
  restore: (file: JobRequest) => json<JobStatus>('POST', '/restore/video', file),
  /** Cancels a job that is not over; removes one that is, with its files. */
  endJob: (id: string) => json<JobStatus | undefined>('DELETE', jobAt(id)),
  frameTimes: (job: JobStatus) => json<{ times: number[] }>('GET', job.urls.frames),
};
