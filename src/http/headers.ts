import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { originIsLocal } from './origin.ts';

/** What the page needs and no more: its own files, pictures and media it makes itself (MSE), hls.js's worker. */
export const PAGE_CSP = [
  "default-src 'self'",
  "img-src 'self' blob: data:",
  "media-src 'self' blob:",
  "worker-src 'self' blob:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'self'",
].join('; ');

/** Where players on other sites' pages come to. */
const PLAYER_PATH = /^\/(?:whep|hls|snapshot)\//;
/** People's files: other sites' pages must be named, `*` does not mean them. */
const FILES_PATH = /^\/restore\//;
const TUS_HEADERS = 'Tus-Resumable, Upload-Length, Upload-Metadata, Upload-Offset, Upload-Defer-Length';
const PREFLIGHT_HEADERS = {
  'access-control-allow-methods': 'GET, HEAD, POST, PATCH, DELETE, OPTIONS',
  'access-control-allow-headers': `Authorization, Content-Type, If-Match, Range, ${TUS_HEADERS}`,
  'access-control-max-age': '86400',
};
const EXPOSED_HEADERS = `ETag, Link, Location, Retry-After, Content-Range, Tus-Resumable, Upload-Offset, Upload-Length`;

export interface CorsRules {
  /** `http.corsOrigins`. */
  origins: readonly string[];
  /** Auth is off. What anybody may watch, a browser on this host may: `*` then means pages of this host only. */
  open: boolean;
}

/** Security headers on everything; CORS for players and callers of /restore, preflights answered before any auth. */
export function registerHeaders(app: FastifyInstance, rules: () => CorsRules): void {
  app.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
    reply.headers({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    if (request.url.startsWith('/api/')) reply.header('cache-control', 'no-store');
    const files = FILES_PATH.test(request.url);
    if (!files && !PLAYER_PATH.test(request.url)) return undefined;
    const { origin } = request.headers;
    const { origins, open } = rules();
    const everybody = !files && origins.includes('*');
    if (everybody && !open) reply.header('access-control-allow-origin', '*');
    else {
      reply.header('vary', 'Origin');
      if (origin === undefined) return undefined;
      if (!origins.includes(origin) && !(everybody && originIsLocal(origin))) return undefined;
      reply.header('access-control-allow-origin', origin);
    }
    reply.header('access-control-expose-headers', EXPOSED_HEADERS);
    const preflight =
      request.method === 'OPTIONS' && request.headers['access-control-request-method'] !== undefined;
    if (!preflight) return undefined;
    return reply.code(204).headers(PREFLIGHT_HEADERS).send();
  });
}
