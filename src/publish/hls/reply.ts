import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

const compress = promisify(gzip);

/** Sends a playlist, gzipped when the client takes it (mime-db calls the type incompressible, so plugins leave it). */
export async function sendPlaylist(
  request: FastifyRequest,
  reply: FastifyReply,
  text: string,
  cacheControl: string,
): Promise<FastifyReply> {
  reply
    .type('application/vnd.apple.mpegurl')
    .header('cache-control', cacheControl)
    .header('vary', [reply.getHeader('vary'), 'Accept-Encoding'].filter(Boolean).join(', '));
  if (!/\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))/i.test(request.headers['accept-encoding'] ?? '')) {
    return reply.send(text);
  }
  return reply.header('content-encoding', 'gzip').send(await compress(text));
}

/** Sends media: what a URL names never changes. */
export function sendMedia(reply: FastifyReply, data: Buffer): FastifyReply {
  return reply.type('video/mp4').header('cache-control', 'max-age=31536000, immutable').send(data);
}

/** Aborts when the client hangs up (and, harmlessly, when the answer is out). */
export function untilClosed(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => controller.abort());
  return controller.signal;
}
