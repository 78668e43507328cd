import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net';
import context from 'node-media-server/src/core/context.js';
import nmsLogger from 'node-media-server/src/core/logger.js';
import { type Config, streamName } from '../config/schema.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { admitRtmpSession, type RtmpRequest } from './rtmp-session.ts';

const APP = 'live';

/** Of other hosts: whoever fills them must not keep our own decoders out. */
const MAX_CONNECTIONS = 256;

/** A publisher silent for so long is taken for gone when another one comes in its place, ms. */
const DEAD_PUBLISHER = 3000;

const PATIENCE = 10_000;

export interface RtmpServerOptions {
  config: Pick<Config['rtmp'], 'host' | 'port'>;
  /**
   * What a push of that name has to send as `?key=` now, if anything; undefined when no such push is taken.
   * @param key what it does send
   */
  lookup(name: string, key: Key): { key?: string | undefined } | undefined;
  /** Counts what an address got wrong: wrong keys of a stream, and refusals of any kind, of which only some are logged. */
  attempts: { fail(ip: string, at?: string): void; wait(ip: string, at?: string): number };
  logger: Logger;
  /** Time a connection has to say what it wants, ms (default 10 s). */
  patience?: number;
}

interface RtmpEvents {
  published: [name: string];
  /** The publisher is gone, however that came about. */
  unpublished: [name: string];
}

/** What a push says of itself in its URL. */
type Key = string | string[] | undefined;

interface Publisher {
  socket: Socket;
  key: Key;
  heard: number;
}

/**
 * Takes RTMP pushes at `rtmp://host:port/live/<name>[?key=...]` and plays them back to this gateway's own decoders.
 * The protocol is node-media-server's; the listener is ours, because its own ends the process when a port is taken.
 * It keeps its sessions in a global: one server a process at a time.
 */
export class RtmpServer extends EventEmitter<RtmpEvents> {
  private readonly options: RtmpServerOptions;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();
  private readonly publishers = new Map<string, Publisher>();
  /** Only who knows it may play: it is in `playUrl` and nowhere else. */
  private readonly playToken = randomBytes(16).toString('hex');

  constructor(options: RtmpServerOptions) {
    super();
    this.options = options;
    const { logger } = options;
    // Its sessions come and go at `info`; ours say what matters.
    nmsLogger.log = (message, level) => (level === 'error' ? logger.debug(message) : logger.trace(message));
    this.server = createServer({ keepAlive: true, noDelay: true }, (socket) => this.accept(socket));
  }

  /** Opens the port and returns its number. Throws CLEARWAY_PORT_IN_USE or CLEARWAY_BIND_REFUSED. */
  async listen(): Promise<number> {
    const { host, port } = this.options.config;
    this.server.listen(port, host);
    try {
      await once(this.server, 'listening');
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EADDRINUSE') {
        throw new ClearwayError(
          'CLEARWAY_PORT_IN_USE',
          `RTMP port ${port} on ${host} is in use: stop what uses it or set another rtmp.port`,
          { cause },
        );
      }
      throw new ClearwayError(
        'CLEARWAY_BIND_REFUSED',
        `RTMP cannot listen on ${host}:${port}: check rtmp.host and rtmp.port`,
        { cause },
      );
    }
    this.server.on('error', (error) => this.options.logger.error({ err: error }, 'RTMP listener'));
    return this.port;
  }

  /** The port in use, also where port 0 was asked for. */
  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  isPublishing(name: string): boolean {
    return this.publishers.has(name);
  }

  /** Puts out each publisher that would not be let in any more: no such push is taken now, or one with another key. */
  recheck(): void {
    for (const [name, publisher] of this.publishers) {
      const stream = this.options.lookup(name, publisher.key);
      if (stream && opens(stream.key, publisher.key)) continue;
      this.putOut(name, 'the configuration no longer lets it in');
    }
  }

  /** Ends the connection of who pushes `name`, if anybody does. */
  putOut(name: string, why: string): void {
    const publisher = this.publishers.get(name);
    if (!publisher) return;
    this.options.logger.info({ stream: name }, `RTMP publisher put out: ${why}`);
    this.unpublish(name, publisher);
  }

  /** Where a decoder of this gateway plays what is pushed as `name`. */
  playUrl(name: string): string {
    return `${this.origin}/${APP}/${name}?token=${this.playToken}`;
  }

  /** Where a publisher on this host pushes to. */
  pushUrl(name: string, key?: string): string {
    return `${this.origin}/${APP}/${name}${key === undefined ? '' : `?key=${encodeURIComponent(key)}`}`;
  }

  /** Ends every session and closes the port. */
  async close(): Promise<void> {
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private get origin(): string {
    const { host } = this.options.config;
    const own =
      host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '[::1]' : isIPv6(host) ? `[${host}]` : host;
    return `rtmp://${own}:${this.port}`;
  }

  private accept(socket: Socket): void {
    if (!isLocal(socket) && this.sockets.size >= MAX_CONNECTIONS) {
      socket.destroy();
      return;
    }
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    const { attempts, logger, patience = PATIENCE } = this.options;
    const peer = socket.remoteAddress ?? '';
    const session = admitRtmpSession(socket, patience, {
      publish: (request) => this.refusePublish(request, peer),
      published: (request) => this.publish(request, socket),
      play: (request) => this.refusePlay(request, socket),
      refused: (what, reason) => {
        if (attempts.wait(peer) === 0)
          logger.warn({ code: 'CLEARWAY_PUBLISHER_REFUSED', peer }, `RTMP ${what} refused: ${reason}`);
        attempts.fail(peer);
      },
    });
    context.sessions.set(session.id, session);
  }

  /** Why this push is refused; undefined lets it in. */
  private refusePublish({ app, name, query }: RtmpRequest, peer: string): string | undefined {
    const { attempts, lookup } = this.options;
    if (app !== APP) return `push to rtmp://host/${APP}/<name>, not to another application`;
    if (!streamName.safeParse(name).success) return 'what it is pushed as cannot be the name of a stream';
    const stream = lookup(name, query.key);
    if (!stream) return `no stream ${name} is configured with \`source: push\`, or it is switched off`;
    if (stream.key !== undefined) {
      if (attempts.wait(peer, name) > 0) return `too many wrong keys for ${name}: wait a minute`;
      if (!opens(stream.key, query.key)) {
        attempts.fail(peer, name);
        return `wrong key for ${name}: push to /${APP}/${name}?key=...`;
      }
    }
    const current = this.publishers.get(name);
    if (current && performance.now() - current.heard < DEAD_PUBLISHER) {
      return `${name} already has a publisher`;
    }
    if (current) this.unpublish(name, current);
    return undefined;
  }

  private refusePlay({ app, query }: RtmpRequest, socket: Socket): string | undefined {
    if (isLocal(socket) && app === APP && sameSecret(this.playToken, query.token)) return undefined;
    return 'streams are not played over RTMP: watch them by WebRTC or HLS';
  }

  private publish({ name, query }: RtmpRequest, socket: Socket): void {
    const publisher: Publisher = { socket, key: query.key, heard: performance.now() };
    this.publishers.set(name, publisher);
    socket.on('data', () => {
      publisher.heard = performance.now();
    });
    socket.once('close', () => {
      if (this.publishers.get(name) === publisher) this.unpublish(name, publisher);
    });
    this.emit('published', name);
  }

  private unpublish(name: string, publisher: Publisher): void {
    this.publishers.delete(name);
    // Otherwise the path stays taken for 30 s more, and players are given its last pictures.
    context.broadcasts.get(`/${APP}/${name}`)?._finishPublish();
    publisher.socket.destroy();
    this.emit('unpublished', name);
  }
}

/** Whether the other end is on this host. */
function isLocal({ remoteAddress, localAddress }: Socket): boolean {
  return remoteAddress === localAddress;
}

/** Whether a stream takes a push with this key. */
function opens(wanted: string | undefined, given: Key): boolean {
  return wanted === undefined || sameSecret(wanted, given);
}

/** Compares without telling by its duration how much of a guess was right. */
function sameSecret(expected: string, given: Key): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(expected), digest(typeof given === 'string' ? given : ''));
}
