import Fastify from 'fastify';
import type { Config, ConfigInput } from '../../../src/config/schema.ts';
import { configSchema } from '../../../src/config/schema.ts';
import type { Guard } from '../../../src/contracts/http.ts';
import { registerHeaders } from '../../../src/http/headers.ts';
import { registerProblems } from '../../../src/http/problem.ts';
import {
  createWebRtcPublisher,
  type WebRtcPublisher,
  whepRoutes,
} from '../../../src/publish/webrtc/index.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { Metrics } from '../../../src/telemetry/metrics.ts';
import {
  createH264Source,
  FakeDirectory,
  type H264Source,
  type H264SourceOptions,
} from '../../support/h264-source.ts';

export interface TestGateway extends AsyncDisposable {
  url: string;
  source: H264Source;
  directory: FakeDirectory;
  publisher: WebRtcPublisher;
  metrics: Metrics;
}

export interface TestGatewayOptions {
  webrtc?: ConfigInput['webrtc'];
  source?: H264SourceOptions;
  guard?: Guard;
  corsOrigins?: string[];
}

const openGuard: Guard = () => async () => {};

/** One stream, `cam`, published over WHEP by a real HTTP server on a free port; `/` is an empty page. */
export async function startGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const config: Config['webrtc'] = configSchema.parse({ webrtc: { workers: 1, ...options.webrtc } }).webrtc;
  const source = await createH264Source({ name: 'cam', ...options.source });
  const directory = new FakeDirectory(source);
  const metrics = new Metrics();
  const publisher = createWebRtcPublisher({ streams: directory, config, logger: silentLogger, metrics });
  const app = Fastify({ forceCloseConnections: true });
  registerProblems(app);
  registerHeaders(app, () => ({ origins: options.corsOrigins ?? ['*'], open: false }));
  await app.register(whepRoutes({ publisher, streams: directory, guard: options.guard ?? openGuard }));
  app.get('/', (_request, reply) => reply.type('text/html').send('<!doctype html><title>test</title>'));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  return {
    url,
    source,
    directory,
    publisher,
    metrics,
    async [Symbol.asyncDispose]() {
      await publisher.close();
      await app.close();
    },
  };
}
