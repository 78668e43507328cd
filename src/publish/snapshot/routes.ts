import type { FastifyPluginAsync } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Guard } from '../../contracts/http.ts';
import type { StreamDirectory } from '../../contracts/publish.ts';
import { parseRendition, requireStream } from '../request.ts';

export interface SnapshotRoutesOptions {
  streams: StreamDirectory;
  guard: Guard;
}

/** For so long a picture is new enough for who asks next, ms: making one takes from the frames of this host. */
const FRESH = 250;

interface Route {
  Params: { name: string };
  Querystring: { rendition?: unknown };
}

/**
 * `GET /snapshot/:name.jpg[?rendition=]`: the newest picture. Who asks while one is being made, or just after, gets the
 * same one.
 */
export function snapshotRoutes({ streams, guard }: SnapshotRoutesOptions): FastifyPluginAsync {
  const making = new Map<string, Promise<Uint8Array>>();

  function share(key: string, make: () => Promise<Uint8Array>): Promise<Uint8Array> {
    const known = making.get(key);
    if (known) return known;
    const made = make();
    const forget = () => making.delete(key);
    made.then(() => setTimeout(forget, FRESH).unref(), forget);
    making.set(key, made);
    return made;
  }

  return async (app) => {
    app.get<Route>(
      '/snapshot/:name.jpg',
      {
        preHandler: guard('read', (request) => (request.params as Route['Params']).name),
      },
      async (request, reply) => {
        const stream = requireStream(streams, request.params.name);
        const rendition = parseRendition(request.query.rendition);
        const key = `${stream.name}/${rendition}`;
        const jpeg = await share(key, () => stream.snapshot(rendition)).catch(asUnavailable);
        return reply.type('image/jpeg').header('cache-control', 'no-store').send(jpeg);
      },
    );
  };
}

/** A stream that is offline is for the client to try again soon. */
function asUnavailable(error: unknown): never {
  if (!(error instanceof ClearwayError) || error.code !== 'CLEARWAY_STREAM_OFFLINE') throw error;
  throw new ClearwayError(error.code, error.message, {
    status: 503,
    retryable: true,
    retryAfter: error.retryAfter ?? 2,
    cause: error,
  });
}
