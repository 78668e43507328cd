import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/schema.ts';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Guard } from '../../contracts/http.ts';
import type { StreamDirectory } from '../../contracts/publish.ts';
import { parseRendition, requireStream } from '../request.ts';
import { parseFragment } from './fragment.ts';
import { parseOffer } from './offer.ts';
import type { Session, WebRtcPublisher } from './publisher.ts';

export interface WhepDeps {
  publisher: WebRtcPublisher;
  streams: StreamDirectory;
  guard: Guard;
}

const SDP = 'application/sdp';
const FRAGMENT = 'application/trickle-ice-sdpfrag';
/** A browser's offer is about 6 KB; bigger bodies are refused before they are read. */
const MAX_BODY = 256 * 1024;
const ENDPOINT_METHODS = 'POST, HEAD, OPTIONS';
const SESSION_METHODS = 'PATCH, DELETE, OPTIONS';

interface Endpoint {
  Params: { name: string };
  Querystring: { rendition?: string };
}
interface SessionUrl {
  Params: { name: string; id: string };
}

/**
 * WHEP (draft-ietf-wish-whep-04): `/whep/:name` and its sessions at `/whep/:name/sessions/:id`. CORS is the server's
 * (src/http/headers.ts), for players of every kind alike.
 */
export function whepRoutes(deps: WhepDeps): FastifyPluginAsync {
  const { publisher, streams } = deps;
  const guard = deps.guard('read', (request) => (request.params as { name: string }).name);

  return async (app) => {
    app.removeAllContentTypeParsers();
    app.addContentTypeParser(
      [SDP, FRAGMENT],
      { parseAs: 'string', bodyLimit: MAX_BODY },
      (_request, body, done) => done(null, body),
    );
    app.addContentTypeParser('*', (request, _payload, done) => done(unsupported(request)));

    const endpoint = '/whep/:name';
    app.options(endpoint, (_request, reply) =>
      reply.code(204).headers({ allow: ENDPOINT_METHODS, 'accept-post': SDP }).send(),
    );
    app.head<Endpoint>(endpoint, { preHandler: guard }, async (request, reply) => {
      findStream(streams, request.params.name);
      return reply.header('accept-post', SDP).code(200).send();
    });
    app.post<Endpoint>(endpoint, { preHandler: guard, bodyLimit: MAX_BODY }, post);
    app.route({
      method: ['GET', 'PUT', 'PATCH', 'DELETE'],
      url: endpoint,
      handler: notAllowed(ENDPOINT_METHODS),
      exposeHeadRoute: false,
    });

    const session = '/whep/:name/sessions/:id';
    app.options(session, (_request, reply) =>
      reply.code(204).headers({ allow: SESSION_METHODS, 'accept-patch': FRAGMENT }).send(),
    );
    app.patch<SessionUrl>(session, { preHandler: guard, bodyLimit: MAX_BODY }, patch);
    app.delete<SessionUrl>(session, { preHandler: guard }, async (request, reply) => {
      publisher.end(findSession(request), 'player left');
      return reply.code(200).send();
    });
    app.route({
      method: ['GET', 'HEAD', 'POST', 'PUT'],
      url: session,
      handler: notAllowed(SESSION_METHODS),
    });
  };

  async function post(request: FastifyRequest<Endpoint>, reply: FastifyReply): Promise<FastifyReply> {
    const stream = findStream(streams, request.params.name);
    const rendition = parseRendition(request.query.rendition);
    const offer = parseOffer(readBody(request, SDP));
    const { session, answer } = await publisher.open(stream, rendition, offer);
    const links = publisher.config.iceServers.map(iceServerLink);
    if (links.length > 0) reply.header('link', links.join(', '));
    return reply
      .code(201)
      .header('location', `/whep/${encodeURIComponent(stream.name)}/sessions/${session.id}`)
      .header('etag', session.etag)
      .header('accept-patch', FRAGMENT)
      .header('cache-control', 'no-store')
      .type(SDP)
      .send(answer);
  }

  async function patch(request: FastifyRequest<SessionUrl>, reply: FastifyReply): Promise<FastifyReply> {
    const session = findSession(request);
    const body = readBody(request, FRAGMENT);
    const match = request.headers['if-match'];
    if (match === undefined) {
      throw new ClearwayError(
        'CLEARWAY_PRECONDITION_REQUIRED',
        'Send If-Match with the ETag of the session, or "*" to restart ICE.',
        { status: 428 },
      );
    }
    // RFC 9110 writes it *, the draft's examples "*".
    const any = match === '*' || match === '"*"';
    if (!any && !match.split(',').some((tag) => tag.trim() === session.etag)) {
      throw new ClearwayError(
        'CLEARWAY_PRECONDITION_FAILED',
        'If-Match names an ICE session that is no longer current; use the newest ETag.',
        { status: 412 },
      );
    }
    const fragment = parseFragment(body);
    if (fragment.ice.ufrag === session.ice.ufrag && fragment.ice.pwd === session.ice.pwd) {
      publisher.trickle(session, fragment);
      return reply.code(204).send();
    }
    if (!any) {
      throw new ClearwayError(
        'CLEARWAY_BAD_REQUEST',
        'New ICE credentials restart ICE, which takes If-Match: "*".',
        { status: 422 },
      );
    }
    const answer = await publisher.restart(session, fragment);
    return reply
      .code(200)
      .header('etag', session.etag)
      .header('cache-control', 'no-store')
      .type(FRAGMENT)
      .send(answer);
  }

  /** The session of this URL; the stream in it must be the session's, as it is what access was checked for. */
  function findSession({ params: { name, id } }: FastifyRequest<SessionUrl>): Session {
    const session = publisher.session(id);
    if (session !== undefined && session.stream === name) return session;
    throw new ClearwayError('CLEARWAY_SESSION_NOT_FOUND', 'The session has ended; POST a new offer.', {
      status: 404,
    });
  }
}

function findStream(streams: StreamDirectory, name: string) {
  const stream = requireStream(streams, name);
  if (stream.status.state === 'disabled') {
    throw new ClearwayError('CLEARWAY_STREAM_OFFLINE', `Stream ${name} is disabled.`, {
      status: 409,
      retryAfter: 60,
    });
  }
  return stream;
}

function readBody(request: FastifyRequest, type: string): string {
  const given = request.headers['content-type']?.split(';', 1)[0]?.trim().toLowerCase();
  if (given !== type) throw unsupported(request, type);
  return String(request.body ?? '');
}

function unsupported(
  request: FastifyRequest,
  wanted = request.method === 'PATCH' ? FRAGMENT : SDP,
): ClearwayError {
  return new ClearwayError('CLEARWAY_UNSUPPORTED_MEDIA_TYPE', `Send Content-Type: ${wanted}.`, {
    status: 415,
  });
}

function notAllowed(allow: string) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<never> => {
    reply.header('allow', allow);
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `${request.method} is not for this URL, only ${allow}.`, {
      status: 405,
    });
  };
}

/** The Link value of an ICE server (draft-ietf-wish-whep-04, 4.6). */
function iceServerLink({ urls, username, credential = '' }: Config['webrtc']['iceServers'][number]): string {
  const link = `<${urls}>; rel="ice-server"`;
  if (username === undefined) return link;
  return `${link}; username="${quote(username)}"; credential="${quote(credential)}"; credential-type="password"`;
}

function quote(text: string): string {
  return text.replace(/[\\"]/g, '\\$&').replace(/[\r\n]/g, '');
}
