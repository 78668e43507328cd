import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { StreamPatch } from '../config/schema.ts';
import type { Control } from '../contracts/control.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { StreamStatus } from '../contracts/stream.ts';
import { now } from '../contracts/time.ts';
import { type Auth, may } from './auth.ts';
import { checkBody, newStreamSchema, streamPatchSchema, TRACE_SECONDS, traceQuerySchema } from './schemas.ts';

/** Adding and removing cameras; sliders on the page send several changes a second. */
const WRITES = { config: { rateLimit: { max: 120, timeWindow: '1 minute' } } };
const CHANGES = { config: { rateLimit: { max: 1200, timeWindow: '1 minute' } } };

interface Named {
  Params: { name: string };
}

function nameOf(request: FastifyRequest): string {
  return (request.params as Named['Params']).name;
}

function found<T>(value: T | undefined, name: string): T {
  if (value !== undefined) return value;
  throw new ClearwayError(
    'CLEARWAY_STREAM_NOT_FOUND',
    `There is no stream ${name}; GET /api/v1/streams lists them.`,
    {
      status: 404,
    },
  );
}

/** What the API shows comes with `***` for secrets; sent back as it is, that would overwrite the real ones. */
function refuseRedacted(settings: Pick<StreamPatch, 'source' | 'key'>): void {
  if (settings.source?.includes('***') || settings.key?.includes('***')) {
    throw new ClearwayError(
      'CLEARWAY_BAD_REQUEST',
      'source, key: *** stands for a secret that is not shown; send the real one, or leave the setting out to keep it.',
      { status: 400 },
    );
  }
}

/** `/api/v1`: streams, models, where pushes go, time. */
export function registerApi(app: FastifyInstance, control: Control, auth: Auth): void {
  const reader = { preHandler: auth.guard('read', nameOf) };
  const admin = auth.guard('admin', nameOf);

  const described = (status: StreamStatus) => {
    const settings = control.settings(status.name);
    if (settings === undefined) return status;
    return { ...status, settings: settings.key === undefined ? settings : { ...settings, key: '***' } };
  };

  app.get('/api/v1/streams', async (request, reply) => {
    const identity = await auth.require(request, reply, 'read');
    return control.list().filter(({ name }) => may(identity, 'read', name));
  });

  app.post('/api/v1/streams', WRITES, async (request, reply) => {
    const identity = await auth.require(request, reply, 'admin');
    const { name, ...settings } = checkBody(newStreamSchema, request.body);
    if (!may(identity, 'admin', name)) {
      throw new ClearwayError('CLEARWAY_FORBIDDEN', `${identity.name} may not add stream ${name}.`, {
        status: 403,
      });
    }
    refuseRedacted(settings);
    const status = await control.create(name, settings);
    return reply.code(201).header('location', `/api/v1/streams/${name}`).send(status);
  });

  app.get<Named>('/api/v1/streams/:name', reader, async ({ params }) =>
    described(found(control.get(params.name), params.name)),
  );

  app.patch<Named>('/api/v1/streams/:name', { ...CHANGES, preHandler: admin }, async ({ params, body }) => {
    found(control.get(params.name), params.name);
    // JSON has no undefined, which is all that the two types differ in.
    const patch = checkBody(streamPatchSchema, body) as StreamPatch;
    refuseRedacted(patch);
    return control.update(params.name, patch);
  });

  app.delete<Named>('/api/v1/streams/:name', { ...WRITES, preHandler: admin }, async ({ params }, reply) => {
    found(control.get(params.name), params.name);
    await control.remove(params.name);
    return reply.code(204).send();
  });

  app.get<Named>('/api/v1/streams/:name/trace', reader, async ({ params, query }) => {
    const { seconds } = checkBody(traceQuerySchema, query);
    return found(
      control.trace(params.name, seconds === undefined ? TRACE_SECONDS : Number(seconds)),
      params.name,
    );
  });

  app.get('/api/v1/models', async (request, reply) => {
    await auth.require(request, reply, 'read');
    return control.models();
  });

  app.get('/api/v1/rtmp', async (request, reply) => {
    await auth.require(request, reply, 'read');
    return control.rtmp();
  });

  app.get('/api/v1/time', async () => ({ now: now() }));
}
