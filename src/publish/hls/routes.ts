import { hash, randomBytes } from 'node:crypto';
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Guard } from '../../contracts/http.ts';
import type { StreamDirectory } from '../../contracts/publish.ts';
import { parseRendition, requireStream } from '../request.ts';
import type { MediaWindow } from './media-window.ts';
import { renderMediaPlaylist, renderMultivariantPlaylist, uris } from './playlist.ts';
import type { HlsPublisher } from './publisher.ts';
import { checkReachable, parseDirectives } from './reload.ts';
import type { RenditionMuxer } from './rendition-muxer.ts';
import { sendMedia, sendPlaylist, untilClosed } from './reply.ts';

export interface HlsRoutesOptions {
  publisher: HlsPublisher;
  streams: StreamDirectory;
  guard: Guard;
}

interface Route {
  Params: { name: string; rendition: string; file: string };
  Querystring: Record<string, unknown>;
}

const RESOURCE = /^(?:init-(?<init>\d{1,15})\.mp4|(?<msn>\d{1,15})(?:\.(?<part>\d{1,6}))?\.m4s)$/;
const SESSION = /^[A-Za-z0-9_-]{8,64}$/;

/**
 * `GET /hls/:name/index.m3u8[?rendition=]`, the multivariant playlist, and what it leads to under
 * `/hls/:name/:rendition/`: media playlist, initialisation segments, segments and parts.
 */
export function hlsRoutes({ publisher, streams, guard }: HlsRoutesOptions): FastifyPluginAsync {
  const preHandler = guard('read', (request) => (request.params as Route['Params']).name);

  return async (app) => {
    app.get<Route>('/hls/:name/index.m3u8', { preHandler }, async (request, reply) => {
      const rendition = parseRendition(request.query.rendition);
      const muxer = publisher.open(requireStream(streams, request.params.name), rendition);
      const window = await muxer.until(({ listed }) => listed.length > 0, untilClosed(reply));
      const session = randomBytes(12).toString('base64url');
      const token = tokenOf(request);
      const uri = `${rendition}/${uris.playlist}?session=${session}${token && `&${token}`}`;
      return sendPlaylist(request, reply, renderMultivariantPlaylist({ window, uri }), 'no-store');
    });

    app.get<Route>(`/hls/:name/:rendition/${uris.playlist}`, { preHandler }, async (request, reply) => {
      const { name } = request.params;
      const directives = parseDirectives(request.query);
      const rendition = parseRendition(request.params.rendition);
      const muxer =
        publisher.find(name, rendition) ?? publisher.open(requireStream(streams, name), rendition);
      const session = sessionOf(request);
      publisher.seen(name, session);
      const signal = untilClosed(reply);
      // Plain players take a playlist without one whole segment for an empty one.
      const window = await muxer.until((window) => window.reached(window.first), signal);
      if (directives.wait !== undefined) {
        await hold(muxer, window, directives.wait, signal);
        publisher.seen(name, session);
      }
      const reports = publisher.reports(name, rendition);
      const text = renderMediaPlaylist(window, { skip: directives.skip, reports, query: tokenOf(request) });
      const lifetime = directives.wait && `max-age=${6 * window.timing.targetDuration}`;
      return sendPlaylist(request, reply, text, lifetime ?? 'no-cache');
    });

    app.get<Route>('/hls/:name/:rendition/:file', { preHandler }, async (request, reply) => {
      const { name, rendition, file } = request.params;
      const muxer = publisher.find(name, parseRendition(rendition));
      const data = muxer && (await resource(muxer, file, reply));
      if (data !== undefined) return sendMedia(reply, data);
      reply.header('cache-control', 'no-store');
      throw new ClearwayError(
        'CLEARWAY_NOT_FOUND',
        'This segment is not in the playlist any more, or never was; reload the playlist.',
        { status: 404 },
      );
    });
  };
}

/** Blocking reload: sleeps until the playlist has what was asked for, at most three target durations. */
async function hold(
  muxer: RenditionMuxer,
  window: MediaWindow,
  wait: { msn: number; part: number | undefined },
  signal: AbortSignal,
): Promise<void> {
  if (window.reached(wait.msn, wait.part)) return;
  checkReachable(window, wait);
  await muxer.until(() => window.reached(wait.msn, wait.part), signal, holdTime(window));
}

async function resource(
  muxer: RenditionMuxer,
  file: string,
  reply: FastifyReply,
): Promise<Buffer | undefined> {
  const { init, msn, part } = RESOURCE.exec(file)?.groups ?? {};
  const { window } = muxer;
  if (window === undefined) return undefined;
  if (init !== undefined) return window.init(Number(init))?.data;
  if (msn === undefined) return undefined;
  if (part === undefined) {
    return window.segment(Number(msn))?.data;
  }
  const { next } = window;
  // The hinted part: the answer waits for it (rfc8216bis §6.2.6).
  if (next.msn === Number(msn) && next.part === Number(part) && !window.ended) {
    await muxer.until(() => window.reached(next.msn, next.part), untilClosed(reply), holdTime(window));
  }
  return window.segment(Number(msn))?.parts[Number(part)]?.data;
}

function holdTime({ timing }: MediaWindow): number {
  return 3000 * timing.targetDuration;
}

/** A player that cannot set headers has its access token in the URL, and needs it in every URL that follows. */
function tokenOf(request: FastifyRequest<Route>): string {
  const { token } = request.query;
  return typeof token === 'string' ? `token=${encodeURIComponent(token)}` : '';
}

/** The session token of the multivariant playlist; for players that lost it, the next best thing. */
function sessionOf(request: FastifyRequest<Route>): string {
  const { session } = request.query;
  if (typeof session === 'string' && SESSION.test(session)) return session;
  // As a digest: thousands are kept, and what a player calls itself may be as long as headers may.
  return hash('sha256', `${request.ip} ${request.headers['user-agent'] ?? ''}`, 'base64url');
}
