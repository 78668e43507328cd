import multipart from '@fastify/multipart';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import { isOver, type JobWish, type Received } from '../../contracts/jobs.ts';
import type { Identity } from '../auth.ts';
import { ownerOf, requireFiles } from './access.ts';
import type { RestoreContext } from './context.ts';
import { NUMBERS, requestSchema, settingsSchema } from './schemas.ts';
import { claimUpload } from './uploads.ts';
import { view } from './view.ts';

const CONFIG = { upload: true, rateLimit: { max: 60, timeWindow: '1 minute' } };
const FORM_LIMITS = { files: 1, fields: 20, fieldNameSize: 64, fieldSize: 2048, headerPairs: 50 };
/** Bytes of a form that are not the file: boundaries, headers, other fields. */
const FORM_OVERHEAD = 64 * 1024;

interface Order {
  received: Received;
  wish: JobWish;
}

/** `POST /restore/video`. */
export async function registerSubmit(app: FastifyInstance, context: RestoreContext): Promise<void> {
  const { jobs, auth } = context;
  // The size of the file is limited where it is written.
  await app.register(multipart, { limits: { ...FORM_LIMITS, fileSize: Number.MAX_SAFE_INTEGER } });

  app.post<{ Querystring: { wait?: string } }>(
    '/restore/video',
    { config: CONFIG },
    async (request, reply) => {
      const identity = await requireFiles(auth, request, reply, true);
      const hangUp = hangUpOf(reply);
      const wait = wantsToWait(request.query.wait);
      await jobs.admit();
      const { received, wish } = request.isMultipart()
        ? await readForm(context, request)
        : await readJson(context, request, identity, hangUp);
      let job = await jobs.submit(received, wish, ownerOf(identity, request));
      reply.header('location', `/restore/jobs/${job.id}`);
      if (wait && !isOver(job)) {
        job = await jobs.whenOver(job.id, hangUp);
        if (job.state !== 'done') throw jobs.failure(job);
      }
      return reply.code(job.state === 'done' ? 200 : 202).send(view(job));
    },
  );
}

/** A form with the file in it, streamed to disk as it comes; fields before and after it. */
async function readForm({ jobs }: RestoreContext, request: FastifyRequest): Promise<Order> {
  // A body has a little more than its file; chunked ones are counted as they come.
  const announced = Number(request.headers['content-length'] ?? 0);
  if (announced > FORM_OVERHEAD) await jobs.admitSize(announced - FORM_OVERHEAD);
  const fields: Record<string, unknown> = {};
  let received: Received | undefined;
  try {
    for await (const part of request.parts()) {
      const { fieldname } = part;
      if (part.type === 'file') {
        if (fieldname !== 'file') throw badRequest(`${fieldname}: the file belongs in the field \`file\``);
        received = await jobs.receive(part.file, part.filename);
      } else if (part.valueTruncated || Object.hasOwn(fields, fieldname)) {
        throw badRequest(`${fieldname}: is too long or given twice`);
      } else if (part.value !== '') {
        fields[fieldname] = fieldValue(fieldname, String(part.value));
      }
    }
    if (!received) throw badRequest('file: is missing; send the video in a form field of this name');
    const wish = settingsSchema.parse(fields);
    jobs.check(wish);
    return { received, wish };
  } catch (error) {
    if (received) await jobs.discard(received);
    throw asFormError(error);
  }
}

function fieldValue(field: string, text: string): string | number {
  const number = Number(text);
  return NUMBERS.has(field) && Number.isFinite(number) ? number : text;
}

/** What the parser of forms says is the caller's to correct, whatever status it would have. */
function asFormError(error: unknown): unknown {
  const { code, message } = error as FastifyError;
  // Its own limits, and busboy's bare errors: no boundary, a part that does not end.
  const limit = /^FST_(?:PARTS|FILES|FIELDS)_LIMIT$/.test(code ?? '');
  if (limit) return badRequest(`the form has more than one file or ${FORM_LIMITS.fields} other fields`);
  return Object.getPrototypeOf(error) === Error.prototype && code === undefined
    ? badRequest(`the form cannot be read: ${message}`)
    : error;
}

/** A URL to fetch, or a finished upload to take over. What is wrong with the settings is said before either is touched. */
async function readJson(
  context: RestoreContext,
  request: FastifyRequest,
  identity: Identity,
  hangUp: AbortSignal,
): Promise<Order> {
  const { jobs } = context;
  const { url, upload, name, ...wish } = requestSchema.parse(request.body ?? {});
  jobs.check(wish);
  if ((url === undefined) === (upload === undefined)) {
    throw badRequest('give either url or upload, or send the file as a form');
  }
  const received =
    url === undefined ? await claimUpload(jobs, identity, upload!) : await jobs.fetch(url, hangUp);
  return { received: name === undefined ? received : { ...received, name }, wish };
}

/** Aborts when the client goes before it has its answer. */
function hangUpOf({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => {
    if (!raw.writableFinished) controller.abort(badRequest('The client hung up.'));
  });
  return controller.signal;
}

function wantsToWait(wait: string | undefined): boolean {
  if (wait === undefined || wait === 'false') return false;
  if (wait === '' || wait === 'true') return true;
  throw badRequest('wait: must be true or false');
}

function badRequest(message: string): ClearwayError {
  return new ClearwayError('CLEARWAY_BAD_REQUEST', message, { status: 400 });
}
