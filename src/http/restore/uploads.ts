import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { Server } from '@tus/server';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { ClearwayError, type ErrorCode } from '../../contracts/errors.ts';
import type { Jobs, Received } from '../../contracts/jobs.ts';
import type { Identity } from '../auth.ts';
import { maySee, ownerOf, requireFiles } from './access.ts';
import type { RestoreContext } from './context.ts';
import { UploadStore } from './upload-store.ts';

const PATH = '/restore/uploads';
const ID = /^[0-9a-f]{32}$/;
const SWEEP_EVERY_MS = 600_000;
const CREATE = { upload: true, rateLimit: { max: 60, timeWindow: '1 minute' } };
const GO_ON = { upload: true, rateLimit: { max: 6000, timeWindow: '1 minute' } };
const CODES: Record<number, ErrorCode> = {
  404: 'CLEARWAY_UPLOAD_NOT_FOUND',
  410: 'CLEARWAY_UPLOAD_NOT_FOUND',
  409: 'CLEARWAY_UPLOAD_INCOMPLETE',
  412: 'CLEARWAY_PRECONDITION_FAILED',
  413: 'CLEARWAY_PAYLOAD_TOO_LARGE',
};

interface Named {
  Params: { id?: string };
}

/** `/restore/uploads`: resumable uploads, tus 1.0 (https://tus.io/protocols/resumable-upload). */
export function registerUploads(app: FastifyInstance, { jobs, auth }: RestoreContext): void {
  const store = new UploadStore(jobs);
  const owners = new WeakMap<Request, string>();
  const failures = new WeakMap<Request, unknown>();
  const tus = new Server({
    path: PATH,
    datastore: store,
    relativeLocation: true,
    maxSize: jobs.limits.maxUpload,
    allowedOrigins: [],
    onUploadCreate: async (request, { size, metadata }) => {
      if (size !== undefined) await jobs.admitSize(size);
      return { metadata: { ...metadata, owner: owners.get(request)! } };
    },
    onResponseError: (request, error) => {
      failures.set(request, error);
      return undefined;
    },
  });

  const sweep = setInterval(() => void store.deleteExpired().catch(() => {}), SWEEP_EVERY_MS);
  app.addHook('onClose', async () => clearInterval(sweep));
  // tus reads the body itself.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _body, done) => done(null));

  const handle = async (request: FastifyRequest<Named>, reply: FastifyReply) => {
    const identity = await requireFiles(auth, request, reply, request.method !== 'HEAD');
    const { id } = request.params;
    if (id !== undefined) await requireUpload(store, identity, id);
    const asked = webRequest(request, id === undefined ? PATH : `${PATH}/${id}`);
    owners.set(asked, ownerOf(identity, request).name);
    const answer = await tus.handleWeb(asked);
    if (answer.status < 400) return send(answer, reply);
    const failure = failures.get(asked);
    if (failure instanceof ClearwayError) throw failure;
    reply.header('tus-resumable', '1.0.0');
    throw new ClearwayError(
      CODES[answer.status] ?? (answer.status < 500 ? 'CLEARWAY_BAD_REQUEST' : 'CLEARWAY_INTERNAL'),
      (await answer.text()).trim(),
      { status: answer.status, retryable: answer.status >= 500 },
    );
  };
  app.route<Named>({ method: ['POST', 'OPTIONS'], url: PATH, config: CREATE, handler: handle });
  app.route<Named>({
    method: ['HEAD', 'PATCH', 'DELETE'],
    url: `${PATH}/:id`,
    config: GO_ON,
    handler: handle,
  });
}

/** Takes over a finished upload. Throws CLEARWAY_UPLOAD_NOT_FOUND or CLEARWAY_UPLOAD_INCOMPLETE. */
export async function claimUpload(jobs: Jobs, identity: Identity, id: string): Promise<Received> {
  const store = new UploadStore(jobs);
  const { offset, size, metadata, storage } = await requireUpload(store, identity, id);
  if (offset !== size) {
    throw new ClearwayError(
      'CLEARWAY_UPLOAD_INCOMPLETE',
      `The upload has ${offset} of ${size ?? 'unknown'} bytes: send the rest first.`,
      { status: 409 },
    );
  }
  const name = metadata?.filename ?? metadata?.name ?? '';
  const received = await jobs.claim(storage!.path, name).catch((error: NodeJS.ErrnoException) => {
    // Another request was faster.
    throw error.code === 'ENOENT' ? notFound() : error;
  });
  await store.configstore.delete(id);
  return received;
}

/** An upload that the caller began, or an admin asks for. */
async function requireUpload(store: UploadStore, identity: Identity, id: string) {
  const upload = ID.test(id) ? await store.getUpload(id).catch(() => undefined) : undefined;
  if (upload && maySee(identity, { owner: upload.metadata?.owner ?? '' })) return upload;
  throw notFound();
}

function notFound(): ClearwayError {
  return new ClearwayError('CLEARWAY_UPLOAD_NOT_FOUND', 'There is no such upload; it may have expired.', {
    status: 404,
  });
}

function webRequest({ raw, headers, method }: FastifyRequest<Named>, path: string): Request {
  const own = Object.entries(headers).filter(([name]) => !name.startsWith(':'));
  const body = method === 'POST' || method === 'PATCH' ? { body: Readable.toWeb(raw), duplex: 'half' } : {};
  return new Request(`http://localhost${path}`, {
    method,
    headers: own.map(([name, value]) => [name, String(value)] as [string, string]),
    ...(body as { body?: ReadableStream }),
  } as RequestInit);
}

async function send(answer: Response, reply: FastifyReply): Promise<FastifyReply> {
  for (const [name, value] of answer.headers) {
    // Other sites' pages get what headers.ts allows them.
    if (!name.startsWith('access-control-') && name !== 'connection') reply.header(name, value);
  }
  return reply.code(answer.status).send(await answer.text());
}
