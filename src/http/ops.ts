import type { FastifyInstance } from 'fastify';
import type { Control } from '../contracts/control.ts';
import type { Guard } from '../contracts/http.ts';
import type { Metrics } from '../telemetry/metrics.ts';

/** `/health`, `/ready`, `/metrics`: for supervisors, load balancers and Prometheus. */
export function registerOps(app: FastifyInstance, control: Control, metrics: Metrics, guard: Guard): void {
  app.get('/health', async () => ({ status: 'ok', uptime: Math.round(process.uptime()) }));

  app.get('/ready', async (_request, reply) => {
    const { ready, reason } = control.ready();
    if (ready) return { ready };
    return reply
      .code(503)
      .header('retry-after', '2')
      .send({ ready, reason: reason ?? 'starting' });
  });

  app.get('/metrics', { preHandler: guard('read') }, async (_request, reply) => {
    const text = await metrics.registry.metrics();
    return reply.type(metrics.registry.contentType).send(text);
  });

  // Routes by their template, unknown paths under one name: the number of series stays bounded.
  app.addHook('onResponse', async (request, reply) => {
    const route = request.is404 ? 'unmatched' : (request.routeOptions.url ?? 'unmatched');
    metrics.httpDuration.observe(
      { method: request.method, route, status: String(reply.statusCode) },
      reply.elapsedTime / 1000,
    );
  });
}
