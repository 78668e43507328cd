import Fastify, { type FastifyInstance } from 'fastify';
import { type Config, configSchema } from '../../../src/config/schema.ts';
import type { PublishedStream } from '../../../src/contracts/publish.ts';
import { registerHeaders } from '../../../src/http/headers.ts';
import { registerProblems } from '../../../src/http/problem.ts';
import { createHlsPublisher, type HlsPublisher } from '../../../src/publish/hls/publisher.ts';
import { hlsRoutes } from '../../../src/publish/hls/routes.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import { FakeDirectory } from '../../support/h264-source.ts';

export interface HlsServer extends AsyncDisposable {
  app: FastifyInstance;
  publisher: HlsPublisher;
  streams: FakeDirectory;
  metrics: Metrics;
  origin: string;
  /** GETs a path under /hls/. */
  get(path: string, init?: RequestInit): Promise<Response>;
  text(path: string): Promise<string>;
}

/** HLS over real HTTP on a free loopback port. */
export async function startHls(
  streams: PublishedStream[],
  config: Partial<Config['hls']> = {},
): Promise<HlsServer> {
  const directory = new FakeDirectory(...streams);
  const metrics = new Metrics();
  const publisher = createHlsPublisher({
    streams: directory,
    config: { ...configSchema.parse({}).hls, ...config },
    logger: silentLogger,
    metrics,
  });
  const app = Fastify({ forceCloseConnections: true });
  registerProblems(app);
  registerHeaders(app, () => ({ origins: ['*'], open: false }));
  await app.register(hlsRoutes({ publisher, streams: directory, guard: () => async () => {} }));
  const origin = await app.listen({ host: '127.0.0.1', port: 0 });
  const get = (path: string, init?: RequestInit) => fetch(`${origin}/hls/${path}`, init);
  return {
    app,
    publisher,
    streams: directory,
    metrics,
    origin,
    get,
    async text(path) {
      const response = await get(path);
      if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
      return response.text();
    },
    async [Symbol.asyncDispose]() {
      publisher.close();
      await app.close();
    },
  };
}
