import { constants } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import * as net from 'node:net';
import { pipeline } from 'node:stream';
import * as tls from 'node:tls';
import type { SourceAddress } from '../contracts/restorer.ts';
import { meantHost, plainUrl } from './plain-url.ts';
import { AnswerRefused, readAnswer } from './source-answer.ts';
import { isForbidden, type Resolver, systemResolver } from './sources.ts';

/** Why a connection failed, in the words of ffmpeg's own failures: codec/ffmpeg-failure.ts reads them. */
const REASONS: Record<string, string> = {
  ENOTFOUND: 'Failed to resolve hostname',
  EAI_AGAIN: 'Failed to resolve hostname',
  ECONNREFUSED: 'Connection refused',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
  ERR_SSL_WRONG_VERSION_NUMBER: 'speaks no TLS',
  ERR_SSL_PACKET_LENGTH_TOO_LONG: 'speaks no TLS',
};

/** host:port, the port of a URL being optional. */
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^[\]:@]+))(?::(\d{1,5}))?$/i;

/** The proxy says these itself; the last has answers come with text between their bytes. */
const NOT_FORWARDED = /^(?:(?:proxy-)?connection|host|icy-metadata)$/i;

/** Whatever a camera speaks: they sign their own certificates, and some are old. */
const ANY_TLS: tls.ConnectionOptions = {
  rejectUnauthorized: false,
  minVersion: 'TLSv1',
  ciphers: 'DEFAULT@SECLEVEL=0',
  secureOptions: constants.SSL_OP_LEGACY_SERVER_CONNECT,
};

/**
 * An HTTP proxy on loopback for ffmpeg's http(s) sources (RFC 9112, 3.2.2). ffmpeg follows redirects and playlists
 * wherever they lead, by whatever protocol they name, and resolves names anew each time. Here every connection it asks
 * for is checked as the source's URL was, and made to an address that was checked; the proxy speaks TLS in its place,
 * so that it sees every answer and leaves no way in it but through the proxy again (readAnswer).
 */
export class SourceProxy {
  private readonly resolve: Resolver;
  private readonly server: Server;
  private readonly sockets = new Set<net.Socket>();
  private opening: Promise<unknown> | undefined;
  private closed = false;

  constructor(resolve: Resolver = systemResolver) {
    this.resolve = resolve;
    this.server = createServer((request) => void this.forward(request));
    this.server.on('connection', (socket: net.Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /**
   * How ffmpeg opens an http(s) source through this proxy, which listens from the first one on. Rejects when it cannot,
   * for want of file descriptors say; the next call tries again.
   */
  async address(url: string): Promise<SourceAddress> {
    // A stream may have looked its host up meanwhile: a port opened now would keep the gateway from ending.
    if (this.closed) throw new Error('the source proxy is closed');
    if (!this.server.listening) await this.listen();
    const proxy = `http://127.0.0.1:${(this.server.address() as net.AddressInfo).port}`;
    const opens = plainUrl(url);
    return { url, proxy, ...(opens === undefined ? {} : { opens }) };
  }

  async close(): Promise<void> {
    this.closed = true;
    await this.opening?.catch(() => {});
    if (!this.server.listening) return;
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private listen(): Promise<unknown> {
    this.opening ??= once(this.server.listen(0, '127.0.0.1'), 'listening').finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  private async forward({ socket, method, url = '', rawHeaders }: IncomingMessage): Promise<void> {
    const refuse = (status: string) =>
      socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
    const [, authority = '', path = ''] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
    const [, address, name, port] = AUTHORITY.exec(authority) ?? [];
    const asked = address ?? name;
    if (asked === undefined) return void refuse('400 Bad Request');
    const { host, secure } = meantHost(asked);
    const usual = secure ? 443 : 80;
    const at = Number(port ?? usual);
    try {
      const upstream = await this.connect(socket, host, at, secure);
      const headers = rawHeaders.flatMap((header, at) =>
        at % 2 === 1 || NOT_FORWARDED.test(header) ? [] : `${header}: ${rawHeaders[at + 1]}`,
      );
      upstream.write(
        [
          `${method} ${path.startsWith('/') ? '' : '/'}${path} HTTP/1.1`,
          `Host: ${net.isIP(host) === 6 ? `[${host}]` : host}${at === usual ? '' : `:${at}`}`,
          ...headers,
          // The next request may be for another host.
          'Connection: close\r\n\r\n',
        ].join('\r\n'),
        'latin1',
      );
      pipeline(await readAnswer(upstream, secure), socket, () => {});
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      refuse(`502 ${error instanceof AnswerRefused ? error.message : (REASONS[code] ?? 'Connection reset')}`);
    }
  }

  /** Connects to where the client wants to, for as long as it does. Rejects with why not. */
  private async connect(
    client: net.Socket,
    host: string,
    port: number,
    secure: boolean,
  ): Promise<net.Socket> {
    const all = net.isIP(host) ? [host] : await this.resolve(host);
    const allowed = all.filter((one) => !isForbidden(one));
    if (allowed.length === 0) throw new AnswerRefused('leads to a link-local or cloud metadata address');
    // Its `close` is past: nobody would end a connection to a source that says nothing.
    if (client.destroyed) throw new AnswerRefused('Connection reset');
    const found = allowed.map((one) => ({ address: one, family: net.isIP(one) }));
    const where: net.TcpNetConnectOpts = {
      host,
      port,
      autoSelectFamily: true,
      lookup: (_host, _options, done) => done(null, found),
    };
    const upstream = secure
      ? tls.connect({ ...where, ...ANY_TLS, servername: net.isIP(host) ? '' : host })
      : net.connect(where);
    client.once('close', () => upstream.destroy());
    upstream.on('error', () => {});
    await once(upstream, secure ? 'secureConnect' : 'connect');
    return upstream;
  }
}
