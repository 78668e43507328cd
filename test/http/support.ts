import type { FastifyPluginAsync } from 'fastify';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Guard } from '../../src/contracts/http.ts';
import type { Jobs } from '../../src/contracts/jobs.ts';
import { createHttpServer, type HttpServer } from '../../src/http/server.ts';
import { type Logger, silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FakeControl } from '../support/fake-control.ts';

export interface TestServer {
  http: HttpServer;
  url: string;
  control: FakeControl;
  metrics: Metrics;
}

export interface TestOptions {
  config?: ConfigInput;
  plugins?: FastifyPluginAsync[] | ((guard: Guard) => FastifyPluginAsync[]);
  webRoot?: string;
  logger?: Logger;
  jobs?: Jobs;
}

/** A listening gateway HTTP server over a FakeControl; its owner closes it. */
export async function startServer(options: TestOptions = {}): Promise<TestServer> {
  const { config = {}, plugins = [], webRoot = '/nonexistent', logger = silentLogger, jobs } = options;
  const control = new FakeControl();
  const metrics = new Metrics();
  const http = await createHttpServer({
    config: configSchema.parse({ ...config, http: { port: 0, ...config.http } }),
    control,
    jobs,
    logger,
    metrics,
    plugins,
    webRoot,
  });
  const { url } = await http.listen();
  return { http, url, control, metrics };
}

/** What a JSON answer says, for assertions. */
export async function answer(response: Response): Promise<{ status: number; body: Record<string, unknown> }> {
  const text = await response.text();
  return { status: response.status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
}

export function jsonRequest(
  method: string,
  body: unknown,
  headers: Record<string, string> = {},
): RequestInit {
  return { method, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) };
}
