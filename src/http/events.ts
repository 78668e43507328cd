import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocketServer } from 'ws';
import type { Control } from '../contracts/control.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { ServerEvent } from '../contracts/events.ts';
import type { Job, Jobs } from '../contracts/jobs.ts';
import type { Logger } from '../telemetry/log.ts';
import { type Auth, type Identity, may } from './auth.ts';
import { clientAddress } from './client-address.ts';
import { EventClient } from './event-client.ts';
import { sameOrigin } from './origin.ts';
import { PROBLEM_TYPE } from './problem.ts';
import { maySee } from './restore/access.ts';
import { view } from './restore/view.ts';

const PATH = '/events';
const MAX_CLIENTS = 500;
/** Jobs a new client is told of, the newest. */
const FIRST_JOBS = 100;
const MAX_MESSAGE_BYTES = 8 * 1024;
const PING_EVERY_MS = 15_000;
/** Close codes of RFC 6455, 7.4.1 and the IANA registry. */
const GOING_AWAY = 1001;
const SERVICE_RESTART = 1012;

export interface EventsOptions {
  control: Control;
  jobs?: Jobs | undefined;
  auth: Auth;
  /** `http.trustedProxies` */
  trustedProxies: readonly string[];
  logger: Logger;
}

/** `WS /events`: pushes what changes to everybody who listens and may know. */
export class Events {
  readonly #control: Control;
  readonly #jobs: Jobs | undefined;
  /** Owners by job, so that who is told of its end is who was told of it. */
  readonly #owners = new Map<string, string>();
  readonly #auth: Auth;
  readonly #trustedProxies: readonly string[];
  readonly #logger: Logger;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
  });
  readonly #clients = new Set<EventClient>();
  readonly #stops: (() => void)[];
  #closing = false;

  constructor({ control, jobs, auth, trustedProxies, logger }: EventsOptions) {
    this.#control = control;
    this.#jobs = jobs;
    this.#auth = auth;
    this.#trustedProxies = trustedProxies;
    this.#logger = logger;
    const heartbeat = setInterval(() => {
      for (const client of this.#clients) client.beat();
    }, PING_EVERY_MS);
    heartbeat.unref();
    this.#stops = [
      control.onStatus((stream) => this.#tell(stream.name, { type: 'stream', stream })),
      control.onRemoved((name) => this.#tell(name, { type: 'removed', name })),
      ...(jobs
        ? [jobs.onJob((job) => this.#tellOfJob(job)), jobs.onForgotten((id) => this.#tellOfRemoval(id))]
        : []),
      () => clearInterval(heartbeat),
    ];
  }

  /** The `upgrade` listener of the HTTP server. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // Until ws takes the socket over, a client that resets it must not take the process down.
    const ignore = () => socket.destroy();
    socket.on('error', ignore);
    this.#admit(request).then(
      (identity) => {
        socket.off('error', ignore);
        this.#sockets.handleUpgrade(request, socket, head, (ws) => {
          ws.on('error', (error) => this.#logger.debug({ err: error }, 'events client failed'));
          const client = new EventClient(ws, identity, this.#control);
          this.#clients.add(client);
          ws.on('close', () => this.#clients.delete(client));
          void this.#sendJobs(client);
        });
      },
      (error: unknown) => refuse(socket, error),
    );
  };

  /** Asks every client to connect again, as somebody who may see other things now. */
  restart(): void {
    for (const ws of this.#sockets.clients) ws.close(SERVICE_RESTART, 'configuration changed');
  }

  /** Says goodbye to every client and takes no more. */
  close(): void {
    this.#closing = true;
    for (const stop of this.#stops.splice(0)) stop();
    for (const ws of this.#sockets.clients) ws.close(GOING_AWAY, 'gateway stops');
  }

  async #admit(request: IncomingMessage): Promise<Identity> {
    const { url = '', headers, method = 'GET' } = request;
    if (url.split('?', 1)[0] !== PATH) {
      throw new ClearwayError('CLEARWAY_NOT_FOUND', 'WebSockets are at /events.', { status: 404 });
    }
    const requester = { url, headers, method, ip: clientAddress(request, this.#trustedProxies) };
    const identity = await this.#auth.identify(requester);
    if (!identity) {
      throw new ClearwayError('CLEARWAY_UNAUTHORIZED', 'Sign in, or add ?token= to the URL.', {
        status: 401,
      });
    }
    this.#auth.checkOrigin(requester, identity, 'read');
    // The same-origin policy does not cover WebSockets: another site's page must not borrow this browser's rights.
    if ((identity.via === 'cookie' || identity.via === 'open') && sameOrigin(headers) === 'no') {
      throw new ClearwayError('CLEARWAY_FORBIDDEN', 'Pages of other sites need a token.', { status: 403 });
    }
    if (this.#closing || this.#clients.size >= MAX_CLIENTS) {
      throw new ClearwayError('CLEARWAY_OVERLOADED', 'Too many event listeners; try again.', {
        status: 503,
        retryAfter: 5,
      });
    }
    return identity;
  }

  #tell(stream: string, event: ServerEvent): void {
    this.#broadcast(stream, event, ({ identity }) => may(identity, 'read', stream));
  }

  #tellOfJob(job: Job): void {
    this.#owners.set(job.id, job.owner);
    this.#broadcast(jobKey(job.id), { type: 'job', job: view(job) }, ({ identity }) => maySee(identity, job));
  }

  #tellOfRemoval(id: string): void {
    const owner = this.#owners.get(id) ?? '';
    this.#owners.delete(id);
    this.#broadcast(jobKey(id), { type: 'job-removed', id }, ({ identity }) => maySee(identity, { owner }));
  }

  /** A queue that does not answer tells of its jobs when it does again. */
  async #sendJobs(client: EventClient): Promise<void> {
    if (!this.#jobs || !client.identity.files) return;
    const changed = new Map<string, Job>();
    const stop = this.#jobs.onJob((job) => changed.set(job.id, job));
    const all = await this.#jobs.list().catch(() => []);
    stop();
    // What changed while the list was made is newer than the list.
    const jobs = all
      .filter((job) => maySee(client.identity, job))
      .slice(0, FIRST_JOBS)
      .map((job) => changed.get(job.id) ?? job);
    for (const { id, owner } of jobs) this.#owners.set(id, owner);
    client.push('jobs', JSON.stringify({ type: 'jobs', jobs: jobs.map(view) } satisfies ServerEvent));
  }

  /** Tells who may know; of two events with one key a slow client gets the newer. */
  #broadcast(key: string, event: ServerEvent, mayKnow: (client: EventClient) => boolean): void {
    if (this.#clients.size === 0) return;
    const text = JSON.stringify(event);
    for (const client of this.#clients) if (mayKnow(client)) client.push(key, text);
  }
}

/** No stream has a colon in its name. */
function jobKey(id: string): string {
  return `job:${id}`;
}

function refuse(socket: Duplex, error: unknown): void {
  const { status, code, message, retryAfter } =
    error instanceof ClearwayError ? error : new ClearwayError('CLEARWAY_INTERNAL', 'The gateway failed.');
  const body = JSON.stringify({
    type: 'about:blank',
    title: STATUS_CODES[status],
    status,
    code,
    detail: message,
  });
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
      'Connection: close',
      `Content-Type: ${PROBLEM_TYPE}`,
      `Content-Length: ${Buffer.byteLength(body)}`,
      ...(retryAfter === undefined ? [] : [`Retry-After: ${retryAfter}`]),
      '',
      body,
    ].join('\r\n'),
    // The server has handed it over, and no longer counts its time.
    () => socket.destroy(),
  );
}
