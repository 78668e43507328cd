import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import type { Server as TlsServer } from 'node:tls';
import rateLimit from '@fastify/rate-limit';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  LogController,
} from 'fastify';
import type { Config } from '../config/schema.ts';
import type { Control } from '../contracts/control.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Guard } from '../contracts/http.ts';
import type { Jobs } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { registerApi } from './api.ts';
import { Auth } from './auth.ts';
import { registerDocs } from './docs.ts';
import { Events } from './events.ts';
import { registerHeaders } from './headers.ts';
import { registerLogin } from './login.ts';
import { registerOps } from './ops.ts';
import { notFoundPage, registerPage } from './page.ts';
import { registerPatience } from './patience.ts';
import { problemHandler, registerProblems } from './problem.ts';
import { registerRestore } from './restore/routes.ts';
import { followTls, readTls } from './tls.ts';

/** JSON bodies; routes that take more say so themselves. */
const BODY_LIMIT = 64 * 1024;
/** Headers must have arrived by then; how long bodies may take is in patience.ts. */
const HEADERS_TIMEOUT_MS = 60_000;
const JOBS_OFF = 'This gateway does not restore files: jobs.enabled is false in clearway.yml.';
/** How long answers in progress may take at shutdown. */
const GRACE_MS = 2000;

export interface HttpServerOptions {
  config: Config;
  control: Control;
  /** Restoring files; a sentence when that is off. */
  jobs?: Jobs | string | undefined;
  logger: Logger;
  metrics: Metrics;
  /** WHEP, HLS, snapshots: each registered in its own Fastify scope. */
  plugins: FastifyPluginAsync[] | ((guard: Guard) => FastifyPluginAsync[]);
  /** Directory of the built page (default `dist/web`). */
  webRoot?: string;
}

export interface HttpServer {
  readonly app: FastifyInstance;
  readonly guard: Guard;
  /** Opens the port of the configuration. Throws CLEARWAY_PORT_IN_USE. */
  listen(): Promise<{ url: string }>;
  /** Takes new users, tokens and CORS origins into use at once; host, port and TLS paths need a new server. */
  reconfigure(config: Config): void;
  /** Answers what is in progress for 2 s at most, then closes every connection. */
  close(): Promise<void>;
}

function createApp({ config, logger }: HttpServerOptions): FastifyInstance {
  const loggerInstance: FastifyBaseLogger = logger;
  const common = {
    loggerInstance,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    requestTimeout: 0,
    frameworkErrors: problemHandler,
    routerOptions: { maxParamLength: 256 },
    trustProxy: config.http.trustedProxies,
  };
  const { tls } = config.http;
  if (!tls) return Fastify(common);
  // Only the types of the raw request and reply differ over HTTP/2, and routes see them through Fastify's.
  const untyped: object = common;
  const app = Fastify({ ...untyped, http2: true, https: { allowHTTP1: true, ...readTls(tls) } });
  return app as unknown as FastifyInstance;
}

/** Builds the gateway's HTTP server, its API, page, events and the given plugins; `listen()` opens it. */
export async function createHttpServer(options: HttpServerOptions): Promise<HttpServer> {
  const { control, jobs = JOBS_OFF, logger, metrics, plugins, webRoot = 'dist/web' } = options;
  let { config } = options;
  const secure = config.http.tls !== undefined;
  const auth = new Auth(config.auth, secure, logger);
  const app = createApp(options);
  app.server.headersTimeout = HEADERS_TIMEOUT_MS;
  const connections = new Set<Socket>();
  app.server.on('connection', (socket: Socket) => {
    connections.add(socket);
    socket.on('close', () => connections.delete(socket));
  });
  const sessions = new Set<ServerHttp2Session>();
  let closing = false;
  app.server.on('session', (session: ServerHttp2Session) => {
    if (closing) session.close();
    sessions.add(session);
    session.on('close', () => sessions.delete(session));
  });

  registerProblems(app, notFoundPage(webRoot));
  registerPatience(app);
  registerHeaders(app, () => ({ origins: config.http.corsOrigins, open: !auth.enabled }));
  await app.register(rateLimit, {
    global: false,
    ipv6Subnet: 64,
    errorResponseBuilder: (_request, { ttl }) =>
      new ClearwayError('CLEARWAY_RATE_LIMITED', 'Too many of these requests; slow down.', {
        status: 429,
        retryable: true,
        retryAfter: ttl / 1000,
      }),
  });
  registerOps(app, control, metrics, auth.guard);
  registerApi(app, control, auth);
  registerLogin(app, auth);
  await registerRestore(app, { jobs, auth });
  registerDocs(app);
  for (const plugin of typeof plugins === 'function' ? plugins(auth.guard) : plugins)
    await app.register(plugin);
  await registerPage(app, webRoot);

  const events = new Events({
    control,
    jobs: typeof jobs === 'string' ? undefined : jobs,
    auth,
    trustedProxies: config.http.trustedProxies,
    logger,
  });
  app.server.on('upgrade', events.upgrade);
  await app.ready();

  let unfollow = () => {};
  return {
    app,
    guard: auth.guard,
    async listen() {
      const { host, port, tls } = config.http;
      await open(app, host, port);
      if (tls) unfollow = followTls(app.server as unknown as TlsServer, tls, logger);
      const address = app.server.address();
      const bound = typeof address === 'object' && address !== null ? address.port : port;
      return { url: `${secure ? 'https' : 'http'}://${reachable(host)}:${bound}` };
    },
    reconfigure(next) {
      const authChanged = JSON.stringify(next.auth) !== JSON.stringify(config.auth);
      config = { ...config, auth: next.auth, http: { ...config.http, corsOrigins: next.http.corsOrigins } };
      if (!authChanged) return;
      auth.update(next.auth);
      events.restart();
    },
    async close() {
      closing = true;
      unfollow();
      events.close();
      const force = setTimeout(() => {
        for (const socket of connections) socket.destroy();
      }, GRACE_MS);
      // HTTP/2 keeps a session open when it is idle; this ends each after the answers in progress.
      for (const session of sessions) session.close();
      await app.close();
      clearTimeout(force);
      for (const socket of connections) socket.destroy();
    },
  };
}

/** An address a browser on this host can open. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

async function open(app: FastifyInstance, host: string, port: number): Promise<void> {
  try {
    // Fastify opens a second server for `localhost`; one address is enough.
    await app.listen({ host: host === 'localhost' ? '127.0.0.1' : host, port });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const where = `${host}:${port}`;
    if (code === 'EADDRINUSE') {
      throw new ClearwayError(
        'CLEARWAY_PORT_IN_USE',
        `Something else listens on ${where}: stop it, or set another http.port.`,
        { cause },
      );
    }
    throw new ClearwayError(
      'CLEARWAY_CONFIG_INVALID',
      `Cannot listen on ${where} (${code ?? 'unknown error'}): set http.host to an address of this host and http.port to one it may open.`,
      { cause },
    );
  }
}
