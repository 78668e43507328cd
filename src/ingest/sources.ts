import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';
import type { StreamConfig } from '../config/schema.ts';
import { ClearwayError } from '../contracts/errors.ts';
import { redact } from '../telemetry/redact.ts';

export type SourceKind = 'url' | 'push' | 'demo' | 'lavfi' | 'file';

/** A source setting that may be opened. `url` is absent for `push` and `demo`: the gateway's own server has those. */
export interface ResolvedSource {
  kind: SourceKind;
  url?: string;
  /** It speaks HTTP, which may lead anywhere: it is opened through a SourceProxy. */
  proxied?: true;
}

/** Who chose the source: the configuration file's author may do more than a caller of the API. */
export type SourceOrigin = StreamConfig['origin'];

/** All addresses of a host name; rejects when it has none. */
export type Resolver = (host: string) => Promise<string[]>;

const SCHEMES = /^(?:rtsps?|rtmps?|srt|https?):\/\//i;

const MAX_LENGTH = 2048;

/** RFC 3986 leaves out spaces and control characters; some of ffmpeg's protocols read options after a space. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNSAFE_CHARACTERS = /[\u0000-\u0020\u007f-\u009f]/;

/** Has ffmpeg wait for a connection instead of making one. */
const LISTENING = /[?&](?:listen|mode=(?:listener|rendezvous))(?:[=&#]|$)/i;

/** Link-local and cloud metadata addresses (RFC 3927, RFC 4291), also as IPv6 carries IPv4 (RFC 6052, RFC 3056). */
const forbidden = new BlockList();
forbidden.addSubnet('169.254.0.0', 16, 'ipv4');
forbidden.addSubnet('::ffff:169.254.0.0', 112, 'ipv6');
forbidden.addSubnet('::169.254.0.0', 112, 'ipv6');
forbidden.addSubnet('64:ff9b::169.254.0.0', 112, 'ipv6');
forbidden.addSubnet('2002:a9fe::', 32, 'ipv6');
forbidden.addSubnet('fe80::', 10, 'ipv6');
forbidden.addAddress('fd00:ec2::254', 'ipv6');
forbidden.addAddress('fd20:ce::254', 'ipv6');
forbidden.addAddress('100.100.100.200', 'ipv4');
forbidden.addAddress('192.0.0.192', 'ipv4');

/** getaddrinfo(3), which is what ffmpeg asks: it reads 2852039166 and 0xa9fea9fe as addresses too. */
export const systemResolver: Resolver = async (host) =>
  (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Decides whether a stream's `source` may be opened. Nothing is sent to the source; its host name is resolved.
 * A name that does not resolve is let through: the camera's retries will tell.
 * Throws CLEARWAY_URL_REFUSED.
 */
export async function resolveSource(
  source: string,
  origin: SourceOrigin,
  resolve: Resolver = systemResolver,
): Promise<ResolvedSource> {
  if (source === 'push' || source === 'demo') return { kind: source };
  if (origin === 'file' && !source.includes('\0')) {
    if (source.startsWith('file:')) return { kind: 'file', url: source };
    if (source.startsWith('lavfi:')) return { kind: 'lavfi', url: source };
  }
  if (source.length > MAX_LENGTH) throw refused(source, `is longer than ${MAX_LENGTH} characters`);
  if (UNSAFE_CHARACTERS.test(source)) {
    throw refused(source, 'has spaces or control characters: percent-encode them');
  }
  if (!SCHEMES.test(source)) {
    throw refused(
      source,
      origin === 'api'
        ? 'must be an rtsp(s), rtmp(s), srt or http(s) URL, `push` or `demo`; files and lavfi go in the configuration file, without `origin: api`'
        : 'must be an rtsp(s), rtmp(s), srt or http(s) URL, `push`, `demo`, file: or lavfi:',
    );
  }
  const host = hostOf(source);
  if (host === undefined) throw refused(source, 'has no valid host name');
  if (origin === 'api') {
    if (LISTENING.test(source))
      throw refused(source, 'would open a port; the source must be the one that listens');
    const addresses = isIP(host) ? [host] : await resolve(host).catch(() => []);
    if (addresses.some(isForbidden)) {
      throw refused(
        source,
        'leads to a link-local or cloud metadata address; one that is meant goes in the configuration file, without `origin: api`',
      );
    }
  }
  // An address that the configuration file itself names is meant.
  const proxied = /^https?:/i.test(source) && !(origin === 'file' && isIP(host) && isForbidden(host));
  return { kind: 'url', url: source, ...(proxied ? { proxied } : {}) };
}

/**
 * The host of a URL as ffmpeg's av_url_split reads it: the authority ends at the first of `/?#`, user info at its last
 * `@`. (The WHATWG parser reads `rtsp://admin:a#b@host` otherwise, and what is checked must be what is connected to.)
 */
function hostOf(url: string): string | undefined {
  const authority = /^[^:]+:\/\/([^/?#]*)/.exec(url)?.[1] ?? '';
  const address = authority.slice(authority.lastIndexOf('@') + 1);
  const literal = /^\[([0-9a-f:.]+)\](?::\d{1,5})?$/i.exec(address);
  if (literal) return isIP(literal[1]!) === 6 ? literal[1] : undefined;
  return /^([A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)\.?(?::\d{1,5})?$/.exec(address)?.[1];
}

/** Whether nothing may ever be fetched from an address. */
export function isForbidden(address: string): boolean {
  return forbidden.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

function refused(source: string, why: string): ClearwayError {
  const shown = redact(source.slice(0, 200)).replace(new RegExp(UNSAFE_CHARACTERS, 'g'), '?');
  return new ClearwayError('CLEARWAY_URL_REFUSED', `source ${shown} is refused: it ${why}`, { status: 400 });
}
