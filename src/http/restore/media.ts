import { basename, dirname } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import { JOB_RENDITIONS, type Job, type JobRendition } from '../../contracts/jobs.ts';
import { requireFiles, requireJob } from './access.ts';
import type { RestoreContext } from './context.ts';

const FRAMES = { config: { rateLimit: { max: 2400, timeWindow: '1 minute' } } };
/** What a job's id names never changes, but who may see it does. */
const IMMUTABLE = 'private, max-age=86400, immutable';

interface Media {
  Params: { id: string; n: string };
  Querystring: { rendition?: unknown; download?: unknown };
}

/** Result and original of a job, whole, in ranges (RFC 9110, 14) and frame by frame. */
export function registerMedia(app: FastifyInstance, { jobs, auth }: RestoreContext): void {
  const find = async (request: FastifyRequest<Media>, reply: FastifyReply) =>
    requireJob(jobs, await requireFiles(auth, request, reply, false), request.params.id);

  app.get<Media>('/restore/jobs/:id/video', async (request, reply) => {
    const job = await find(request, reply);
    const rendition = parseRendition(request.query.rendition);
    const { path, type } = await jobs.video(job, rendition);
    const kind = request.query.download === 'true' ? 'attachment' : 'inline';
    reply.type(type).header('content-disposition', `${kind}; ${fileName(job, rendition)}`);
    return reply.sendFile(basename(path), dirname(path), { contentType: false, cacheControl: false });
  });

  app.get<Media>('/restore/jobs/:id/frames', FRAMES, async (request, reply) => {
    const job = await find(request, reply);
    const times = await jobs.frameTimes(job);
    return reply.header('cache-control', IMMUTABLE).send({ times });
  });

  app.get<Media>('/restore/jobs/:id/frames/:n', FRAMES, async (request, reply) => {
    const job = await find(request, reply);
    const { n } = request.params;
    if (!/^\d{1,9}$/.test(n)) {
      throw new ClearwayError('CLEARWAY_BAD_REQUEST', 'Frames are numbered from 0.', { status: 400 });
    }
    const rendition = parseRendition(request.query.rendition);
    const gone = new AbortController();
    reply.raw.once('close', () => gone.abort());
    const jpeg = await jobs.frame(job, Number(n), rendition, gone.signal);
    return reply.header('cache-control', IMMUTABLE).type('image/jpeg').send(jpeg);
  });
}

function parseRendition(text: unknown): JobRendition {
  const rendition = JOB_RENDITIONS.find((known) => known === (text ?? 'restored'));
  if (rendition) return rendition;
  throw new ClearwayError('CLEARWAY_BAD_REQUEST', `rendition: must be ${JOB_RENDITIONS.join(' or ')}`, {
    status: 400,
  });
}

/** The parameter of Content-Disposition, for old and new clients (RFC 6266, 5). */
function fileName({ name, container }: Job, rendition: JobRendition): string {
  const shown = rendition === 'source' ? name : `${name.replace(/\.[^.]*$/, '')}-restored.${container}`;
  const ascii = shown.replaceAll(/[^ !#-[\]-~]/g, '_');
  const encoded = encodeURIComponent(shown.toWellFormed()).replaceAll(
    /['()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
  return `filename="${ascii}"; filename*=UTF-8''${encoded}`;
}
