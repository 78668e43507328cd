import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { BlockList, isIP } from 'node:net';
import { basename } from 'node:path';
import type { Readable } from 'node:stream';
import { ClearwayError } from '../contracts/errors.ts';
import { redact } from '../telemetry/redact.ts';
import { isForbidden, type Resolver, systemResolver } from './sources.ts';

const MAX_REDIRECTS = 5;
/** Silence after which the other side counts as gone, ms. */
const SILENCE = 30_000;

/** Addresses that mean this host or its own network (IANA special-purpose registries). */
const local = new BlockList();
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
] as const) {
  local.addSubnet(network, prefix, 'ipv4');
  // As IPv6 carries IPv4: mapped, compatible, NAT64 (RFC 6052).
  for (const carrier of ['::ffff:', '::', '64:ff9b::']) {
    local.addSubnet(`${carrier}${network}`, 96 + prefix, 'ipv6');
  }
}
for (const [network, prefix] of [
  ['::', 127],
  ['fc00::', 7],
  ['fec0::', 10],
  ['ff00::', 8],
  // 6to4 and Teredo reach IPv4 hosts that the checks above would not see.
  ['2002::', 16],
  ['2001::', 32],
] as const) {
  local.addSubnet(network, prefix, 'ipv6');
}

export interface RemoteFile {
  body: Readable;
  /** The last part of its path. */
  name: string;
  /** As announced. */
  bytes: number | undefined;
}

export interface RemoteFileOptions {
  /** Host names, `*.domain`, or addresses. */
  allowedHosts: readonly string[];
  signal: AbortSignal;
  resolve?: Resolver;
}

/**
 * Opens a file over HTTP(S) on an allow-listed host; each redirect is checked as the first URL was. The host name is
 * resolved once and the connection goes to the address that was checked, so that a name cannot change its meaning in
 * between (DNS rebinding). Rejects with CLEARWAY_URL_REFUSED (400), CLEARWAY_SOURCE_NOT_FOUND, _UNAUTHORIZED or
 * _UNREACHABLE (502).
 */
export async function openRemoteFile(url: string, options: RemoteFileOptions): Promise<RemoteFile> {
  let next = url;
  for (let hops = 0; hops <= MAX_REDIRECTS; hops++) {
    const target = readUrl(next);
    const address = await checkedAddress(target, options);
    const response = await request(target, address, options.signal);
    const { statusCode = 0, headers } = response;
    if (statusCode >= 300 && statusCode < 400 && headers.location !== undefined) {
      response.destroy();
      next = URL.parse(headers.location, target)?.href ?? '';
      continue;
    }
    if (statusCode !== 200) {
      response.destroy();
      throw answered(target, statusCode);
    }
    if ((headers['content-encoding'] ?? 'identity') !== 'identity') {
      response.destroy();
      throw unreachable(target, 'compresses the file although it was asked not to');
    }
    response.setTimeout(SILENCE, () => response.destroy(unreachable(target, 'sends nothing any more')));
    const length = headers['content-length'];
    return {
      body: response,
      name: decoded(basename(target.pathname)),
      bytes: length === undefined ? undefined : Number(length),
    };
  }
  throw unreachable(new URL(url), `redirects more than ${MAX_REDIRECTS} times`);
}

function readUrl(text: string): URL {
  const url = URL.parse(text);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw refused(text, 'must be an http or https URL');
  }
  if (url.username !== '' || url.password !== '') {
    throw refused(text, 'must not hold a user or password');
  }
  return url;
}

async function checkedAddress(url: URL, { allowedHosts, resolve = systemResolver }: RemoteFileOptions) {
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const listed = (name: string) => allowedHosts.some((allowed) => matches(name, allowed));
  if (!listed(host)) {
    throw refused(url.href, 'is on a host that is not in jobs.allowedHosts of clearway.yml');
  }
  const addresses = isIP(host)
    ? [host]
    : await resolve(host).catch(() => {
        throw unreachable(url, 'has a host name that cannot be resolved');
      });
  for (const address of addresses) {
    if (isForbidden(address)) throw refused(url.href, 'leads to a link-local or cloud metadata address');
    if (local.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4') && !listed(address)) {
      throw refused(
        url.href,
        `leads to ${address} in a private network, which jobs.allowedHosts must list itself`,
      );
    }
  }
  const [first] = addresses;
  if (first === undefined) throw unreachable(url, 'has a host name without an address');
  return first;
}

/** `*.example.org` means every name below example.org, and not itself. */
function matches(host: string, allowed: string): boolean {
  const wanted = allowed.toLowerCase();
  return wanted.startsWith('*.') ? isIP(host) === 0 && host.endsWith(wanted.slice(1)) : host === wanted;
}

function request(url: URL, address: string, signal: AbortSignal): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const client = (url.protocol === 'https:' ? https : http).get(url, {
    // Connects to the address that was checked; TLS and Host still name the host.
    lookup: (_host, { all }, done) => {
      const family = isIP(address);
      if (all) (done as unknown as (e: null, found: object[]) => void)(null, [{ address, family }]);
      else done(null, address, family);
    },
    agent: false,
    headers: { 'user-agent': 'clearway', 'accept-encoding': 'identity' },
    timeout: SILENCE,
    signal,
  });
  client.on('response', resolve);
  client.on('timeout', () => client.destroy(unreachable(url, 'does not answer')));
  client.on('error', (error: NodeJS.ErrnoException) => {
    if (error instanceof ClearwayError || signal.aborted) reject(error);
    else reject(unreachable(url, `cannot be reached (${error.code ?? error.message})`));
  });
  return promise;
}

function answered(url: URL, status: number): ClearwayError {
  const code =
    status === 404 || status === 410
      ? 'CLEARWAY_SOURCE_NOT_FOUND'
      : status === 401 || status === 403
        ? 'CLEARWAY_SOURCE_UNAUTHORIZED'
        : 'CLEARWAY_SOURCE_UNREACHABLE';
  return new ClearwayError(code, `${redact(url.href)} was answered with status ${status}.`, {
    status: 502,
    retryable: status >= 500 || status === 429,
  });
}

function unreachable(url: URL, why: string): ClearwayError {
  return new ClearwayError('CLEARWAY_SOURCE_UNREACHABLE', `${redact(url.href)} ${why}.`, {
    status: 502,
    retryable: true,
  });
}

function refused(url: string, why: string): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_URL_REFUSED',
    `url ${redact(url.slice(0, 200)).replaceAll(/\p{C}/gu, '?')} is refused: it ${why}`,
    { status: 400 },
  );
}

function decoded(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}
