import type { FastifyInstance } from 'fastify';
import { maySee, requireFiles, requireJob } from './access.ts';
import type { RestoreContext } from './context.ts';
import { view } from './view.ts';

const READS = { config: { rateLimit: { max: 1200, timeWindow: '1 minute' } } };

interface Named {
  Params: { id: string };
}

/** `/restore/jobs`: what is there, how far it is, cancelling and removing. */
export function registerJobs(app: FastifyInstance, { jobs, auth }: RestoreContext): void {
  app.get('/restore/jobs', READS, async (request, reply) => {
    const identity = await requireFiles(auth, request, reply, false);
    const all = await jobs.list();
    reply.header('cache-control', 'no-store');
    return { jobs: all.filter((job) => maySee(identity, job)).map(view), limits: jobs.limits };
  });

  app.get<Named>('/restore/jobs/:id', READS, async (request, reply) => {
    const identity = await requireFiles(auth, request, reply, false);
    reply.header('cache-control', 'no-store');
    return view(await requireJob(jobs, identity, request.params.id));
  });

  app.delete<Named>('/restore/jobs/:id', READS, async (request, reply) => {
    const identity = await requireFiles(auth, request, reply, true);
    const job = await requireJob(jobs, identity, request.params.id);
    const cancelled = await jobs.remove(job);
    return cancelled ? view(cancelled) : reply.code(204).send();
  });
}
