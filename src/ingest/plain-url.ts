/** Under a name that is never in the DNS (RFC 6761, 6.4). */
const SECURE = '.https.invalid';
/** Colons and brackets have no place in a name. */
const IPV6 = '.ipv6';

/**
 * An https URL as ffmpeg opens it through a SourceProxy: over plain HTTP, from a host whose name tells the proxy to
 * speak TLS to it. What is relative to the URL stays with that host. Undefined when the URL has no valid host.
 */
export function plainUrl(url: string): string | undefined {
  const [, authority = '', rest] = /^https:\/\/([^/?#]*)(.*)$/is.exec(url) ?? [];
  const at = authority.lastIndexOf('@') + 1;
  // For ffmpeg no port is that of plain HTTP.
  const [, address, name, port = ':443'] =
    /^(?:\[([0-9a-f:.]+)\]|([\w.-]+))(:\d+)?$/i.exec(authority.slice(at)) ?? [];
  const host = name ?? (address && `${address.replaceAll(':', '-')}${IPV6}`);
  return host && `http://${authority.slice(0, at)}${host}${SECURE}${port}${rest}`;
}

/** Whom the name of a host that ffmpeg asks for means, and whether TLS is spoken to it. */
export function meantHost(host: string): { host: string; secure: boolean } {
  if (!host.toLowerCase().endsWith(SECURE)) return { host, secure: false };
  const meant = host.slice(0, -SECURE.length);
  if (!meant.endsWith(IPV6)) return { host: meant, secure: true };
  return { host: meant.slice(0, -IPV6.length).replaceAll('-', ':'), secure: true };
}

/**
 * A URL of an answer (a redirect, a line of a playlist) as ffmpeg may open it: over HTTP, or relative to where it came
 * from, which was over TLS if `secure`. Undefined for every other protocol, of which ffmpeg has many.
 */
export function followed(url: string, secure: boolean): string | undefined {
  if (/^https:\/\//i.test(url)) return plainUrl(url);
  if (/^http:\/\//i.test(url)) return url;
  if (url.startsWith('//')) return secure ? plainUrl(`https:${url}`) : url;
  return /^[^/?#]*:/.test(url) ? undefined : url;
}
