import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import { type AddressInfo, connect, isIP, type Socket } from 'node:net';
import { type Duplex, pipeline } from 'node:stream';
import { isForbidden, type Resolver, systemResolver } from './sources.ts';

/** Why a connection failed, in the words of ffmpeg's own failures: codec/ffmpeg-failure.ts reads them. */
const REASONS: Record<string, string> = {
  ENOTFOUND: 'Failed to resolve hostname',
  EAI_AGAIN: 'Failed to resolve hostname',
  ECONNREFUSED: 'Connection refused',
  EHOSTUNREACH: 'No route to host',
  ENETUNREACH: 'Network is unreachable',
  ETIMEDOUT: 'Connection timed out',
};

/** host:port, the port of a URL being optional. */
const AUTHORITY = /^(?:\[([0-9a-f:.]+)\]|([^[\]:@]+))(?::(\d{1,5}))?$/i;

/**
 * An HTTP proxy on loopback for ffmpeg's http(s) sources (RFC 9112, 3.2.2; RFC 9110, 9.3.6). ffmpeg follows redirects
 * and playlists wherever they lead and resolves names anew each time; here every connection it asks for is checked as
 * the source's URL was, and made to an address that was checked.
 */
export class SourceProxy {
  private readonly resolve: Resolver;
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  static async open(resolve: Resolver = systemResolver): Promise<SourceProxy> {
    const proxy = new SourceProxy(resolve);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  private constructor(resolve: Resolver) {
    this.resolve = resolve;
    this.server = createServer((request) => void this.forward(request));
    this.server.on('connect', (request, client, head) => void this.tunnel(request, client, head));
    this.server.on('connection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => {});
      socket.once('close', () => this.sockets.delete(socket));
    });
  }

  /** What ffmpeg takes as `http_proxy`. */
  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  /** The answer goes back as it comes: cameras speak a freer HTTP than Node's parser takes. */
  private async forward({ socket, method, url = '', rawHeaders }: IncomingMessage): Promise<void> {
    const [, authority, path = ''] = /^http:\/\/([^/?#]*)(.*)$/i.exec(url) ?? [];
    const upstream = await this.connect(socket, authority, 80);
    if (!upstream) return;
    const headers = rawHeaders.flatMap((name, at) =>
      at % 2 === 1 || /^(?:proxy-)?connection$/i.test(name) ? [] : `${name}: ${rawHeaders[at + 1]}`,
    );
    const line = `${method} ${path.startsWith('/') ? '' : '/'}${path} HTTP/1.1`;
    // The next request may be for another host.
    upstream.write([line, ...headers, 'Connection: close', '', ''].join('\r\n'), 'latin1');
    pipeline(upstream, socket, () => {});
  }

  private async tunnel({ url }: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    const upstream = await this.connect(client, url, 443);
    if (!upstream) return;
    client.write('HTTP/1.1 200 OK\r\n\r\n');
    upstream.write(head);
    pipeline(client, upstream, client, () => {});
  }

  /** Connects to where the client wants to; undefined once it has been told why not. */
  private async connect(client: Duplex, authority = '', usualPort: number): Promise<Socket | undefined> {
    const refuse = (status: string) => {
      client.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      return undefined;
    };
    const [, address, name, port] = AUTHORITY.exec(authority) ?? [];
    const host = address ?? name;
    if (host === undefined) return refuse('400 Bad Request');
    try {
      const all = isIP(host) ? [host] : await this.resolve(host);
      const allowed = all.filter((one) => !isForbidden(one));
      if (allowed.length === 0) return refuse('502 leads to a link-local or cloud metadata address');
      const found = allowed.map((one) => ({ address: one, family: isIP(one) }));
      const upstream = connect({
        host,
        port: Number(port ?? usualPort),
        autoSelectFamily: true,
        lookup: (_host, _options, done) => done(null, found),
      });
      client.once('close', () => upstream.destroy());
      await once(upstream, 'connect');
      return upstream;
    } catch (error) {
      return refuse(`502 ${REASONS[(error as NodeJS.ErrnoException).code ?? ''] ?? 'Connection reset'}`);
    }
  }
}
