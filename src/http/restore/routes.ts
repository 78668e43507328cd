import type { FastifyInstance } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Jobs } from '../../contracts/jobs.ts';
import type { Auth } from '../auth.ts';
import { registerJobs } from './jobs.ts';
import { registerMedia } from './media.ts';
import { registerSubmit } from './submit.ts';
import { registerUploads } from './uploads.ts';

export interface RestoreOptions {
  /** A sentence when files are not restored here. */
  jobs: Jobs | string;
  auth: Auth;
}

/** `/restore`: files in, jobs, results. */
export async function registerRestore(app: FastifyInstance, { jobs, auth }: RestoreOptions): Promise<void> {
  if (typeof jobs === 'string') {
    app.all('/restore/*', async () => {
      throw new ClearwayError('CLEARWAY_JOBS_DISABLED', jobs, { status: 404 });
    });
    return;
  }
  const context = { jobs, auth };
  await app.register(async (scope) => registerSubmit(scope, context));
  await app.register(async (scope) => registerUploads(scope, context));
  registerJobs(app, context);
  registerMedia(app, context);
}
