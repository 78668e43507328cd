import type { FastifyInstance, FastifyRequest } from 'fastify';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The body may take for ever, as long as it keeps coming. */
    upload?: boolean;
  }
}

/** A request must have arrived whole by then, so that trickled ones do not hold sockets for ever. */
const WHOLE_MS = 300_000;
/** An upload may pause so long. */
const PAUSE_MS = 60_000;
/** How long the rest of a body is taken and thrown away after the answer: a client reads that only when it has sent all. */
const LINGER_MS = 10_000;
/** Bytes a second below which an upload counts as trickled. */
const SLOWEST = 1024;

/** Bounds how long the body of a request may take; Node's own limit knows no exception for uploads. */
export function registerPatience(app: FastifyInstance): void {
  app.addHook('onRequest', async (request) => {
    const { raw, routeOptions } = request;
    if (!hasBody(request)) return;
    const giveUp = routeOptions.config?.upload ? watchUpload(request) : setTimeout(end, WHOLE_MS, raw);
    raw.once('close', () => clearTimeout(giveUp));
    raw.once('end', () => clearTimeout(giveUp));
  });

  app.addHook('onResponse', async ({ raw }) => {
    if (raw.complete || raw.destroyed) return;
    raw.unpipe();
    raw.resume();
    const timer = setTimeout(end, LINGER_MS, raw);
    raw.once('close', () => clearTimeout(timer));
    raw.once('end', () => clearTimeout(timer));
  });
}

/** HTTP/1 says so (RFC 9112, 6); in HTTP/2 the method must do. */
function hasBody({ headers, method, raw }: FastifyRequest): boolean {
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0) return true;
  return raw.httpVersionMajor === 2 && (method === 'POST' || method === 'PATCH');
}

function end(raw: FastifyRequest['raw']): void {
  raw.socket.destroy();
}

/** Ends an upload when less than a kilobyte a second came for a minute. */
function watchUpload({ raw }: FastifyRequest): NodeJS.Timeout {
  let before = raw.socket.bytesRead;
  return setInterval(() => {
    const now = raw.socket.bytesRead;
    if (now - before < (SLOWEST * PAUSE_MS) / 1000) end(raw);
    before = now;
  }, PAUSE_MS);
}
