import type { IncomingHttpHeaders } from 'node:http';
import { isIP } from 'node:net';
import { isLoopback } from '../config/bind.ts';

/** Who asks: what a FastifyRequest and a WebSocket upgrade have in common. */
export interface Requester {
  method: string;
  /** Path and query. */
  url: string;
  headers: IncomingHttpHeaders;
  ip: string;
}

/** The host a request names, with its port; in HTTP/2 that is `:authority`. */
export function hostOf(headers: IncomingHttpHeaders): string {
  const authority = headers[':authority'];
  return headers.host ?? (typeof authority === 'string' ? authority : '');
}

/**
 * Whether a browser sent this from a page of the gateway itself (Fetch Metadata; else Origin against Host).
 * `unknown` when neither header is there: not a browser of today.
 */
export function sameOrigin(headers: IncomingHttpHeaders): 'yes' | 'no' | 'unknown' {
  const site = headers['sec-fetch-site'];
  if (site !== undefined) return site === 'same-origin' || site === 'none' ? 'yes' : 'no';
  if (headers.origin === undefined) return 'unknown';
  return URL.parse(headers.origin)?.host === hostOf(headers) ? 'yes' : 'no';
}

/**
 * Whether the Host header can only mean this machine or a bare address. Without auth everything else is refused: a
 * site may point its own name at 127.0.0.1 to let its script talk to us (DNS rebinding).
 */
export function hostIsLocal(headers: IncomingHttpHeaders): boolean {
  const name = (URL.parse(`http://${hostOf(headers)}`)?.hostname ?? '').replace(/^\[|\]$/g, '');
  return isIP(name) !== 0 || isLocalhost(name);
}

/** Whether a page comes from this machine (an Origin header). */
export function originIsLocal(origin: string): boolean {
  const name = URL.parse(origin)?.hostname ?? '';
  return isLoopback(name) || isLocalhost(name);
}

function isLocalhost(name: string): boolean {
  return name === 'localhost' || name.endsWith('.localhost');
}
