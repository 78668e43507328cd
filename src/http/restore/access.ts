import type { FastifyReply, FastifyRequest } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Job, JobOwner, Jobs } from '../../contracts/jobs.ts';
import { type Auth, type Identity, may } from '../auth.ts';

const JOB_ID = /^[0-9a-f]{32}$/;

/** Who asks, when they may have files restored. `change`: the request is no mere look, so its origin counts. */
export async function requireFiles(
  auth: Auth,
  request: FastifyRequest,
  reply: FastifyReply,
  change: boolean,
): Promise<Identity> {
  const identity = await auth.require(request, reply, change ? 'admin' : 'read');
  if (identity.files) return identity;
  throw new ClearwayError(
    'CLEARWAY_FORBIDDEN',
    `${identity.name} may not restore files; see auth (files: true) in clearway.yml.`,
    { status: 403 },
  );
}

/** Everybody sees their own jobs, an admin of the whole gateway those of all. */
export function maySee(identity: Identity, { owner }: Pick<Job, 'owner'>): boolean {
  return identity.files && (may(identity, 'admin') || identity.name === owner);
}

/** Whose a new job is: the user's or the token's; without auth an address's, and all share the results. */
export function ownerOf(identity: Identity, request: FastifyRequest): JobOwner {
  if (identity.via === 'open') return { name: request.ip, scope: '' };
  return { name: identity.name, scope: identity.name };
}

/** The job that a path names. One that the caller may not see is not there. */
export async function requireJob(jobs: Jobs, identity: Identity, id: string): Promise<Job> {
  const job = JOB_ID.test(id) ? await jobs.get(id) : undefined;
  if (job && maySee(identity, job)) return job;
  throw new ClearwayError(
    'CLEARWAY_JOB_NOT_FOUND',
    'There is no such job; GET /restore/jobs lists those that are kept.',
    { status: 404 },
  );
}
