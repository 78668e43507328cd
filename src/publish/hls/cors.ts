import type { FastifyInstance } from 'fastify';

/**
 * Lets players on other pages read what the routes of this scope answer, errors included. `origins` as in
 * `http.corsOrigins`: `*` or exact origins. Leaves answers alone that already carry a header of this kind.
 */
export function allowOrigins(app: FastifyInstance, origins: string[]): void {
  app.addHook('onRequest', async (request, reply) => {
    const { origin } = request.headers;
    if (origin === undefined || reply.hasHeader('access-control-allow-origin')) return;
    if (origins.includes('*')) reply.header('access-control-allow-origin', '*');
    else {
      reply.header('vary', 'Origin');
      if (origins.includes(origin)) reply.header('access-control-allow-origin', origin);
    }
  });
  // A preflight carries no credentials, so no guard.
  app.options('/hls/*', { schema: { hide: true } }, async (_request, reply) =>
    reply
      .code(204)
      .header('access-control-allow-methods', 'GET, HEAD, OPTIONS')
      .header('access-control-allow-headers', 'Authorization, Range')
      .header('access-control-max-age', '86400')
      .send(),
  );
}
