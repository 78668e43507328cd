import { randomBytes } from 'node:crypto';
import type { Config } from '../../config/schema.ts';
import { ClearwayError } from '../../contracts/errors.ts';
import type { Rendition } from '../../contracts/media.ts';
import type { PublishedStream, StreamDirectory } from '../../contracts/publish.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import { Feed } from './feed.ts';
import type { Fragment } from './fragment.ts';
import type { ViewerReport } from './messages.ts';
import type { IceCredentials, Offer } from './offer.ts';
import type { ViewerWorker } from './viewer-worker.ts';
import { WorkerPool } from './worker-pool.ts';

export interface WebRtcPublisherOptions {
  streams: StreamDirectory;
  config: Config['webrtc'];
  logger: Logger;
  metrics: Metrics;
  /** A picture of a stream went to the viewers of one thread; `at` in Unix ms. */
  sent?(stream: string, pts: number, at: number): void;
}

/** One WHEP session, from the accepted offer to its end. */
export interface Session {
  /** Unguessable, 128 bits, base64url. */
  readonly id: string;
  readonly stream: string;
  /** Strong entity tag of the current ICE session, quotes included. */
  etag: string;
  /** The player's credentials of the current ICE session. */
  ice: IceCredentials;
}

interface Held extends Session {
  readonly feed: Feed;
  readonly worker: ViewerWorker;
  readonly openedAt: number;
  connected: boolean;
}

type ViewersListener = (stream: string, viewers: number) => void;

export function createWebRtcPublisher(options: WebRtcPublisherOptions): WebRtcPublisher {
  return new WebRtcPublisher(options);
}

/** Publishes streams to browsers over WebRTC; `whepRoutes` is its HTTP side. */
export class WebRtcPublisher {
  readonly config: Config['webrtc'];
  readonly #rootLogger: Logger;
  readonly #metrics: Metrics;
  readonly #pool: WorkerPool;
  readonly #sessions = new Map<string, Held>();
  readonly #feeds = new Map<number, Feed>();
  readonly #listeners = new Set<ViewersListener>();
  /** Sessions being opened: they count for admission. */
  #opening = 0;
  #nextFeed = 0;
  readonly #sent: WebRtcPublisherOptions['sent'];
  #closed = false;

  constructor({ streams, config, logger, metrics, sent }: WebRtcPublisherOptions) {
    this.config = config;
    this.#rootLogger = logger;
    this.#metrics = metrics;
    this.#sent = sent;
    this.#pool = new WorkerPool(config, (worker) => this.#listen(worker));
    streams.on('removed', (name) => this.#closeStream(name, 'stream removed'));
  }

  /** Players of a stream that are connected now. */
  viewers(stream: string): number {
    let count = 0;
    for (const session of this.#sessions.values()) {
      if (session.stream === stream && session.connected) count++;
    }
    return count;
  }

  /** Sessions of all streams, those not connected yet included. */
  get sessions(): number {
    return this.#sessions.size;
  }

  /** @returns a function that ends the listening */
  onViewers(listener: ViewersListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Accepts a player's offer.
   * @throws ClearwayError CLEARWAY_OVERLOADED (503, Retry-After) when full
   */
  async open(
    stream: PublishedStream,
    rendition: Rendition,
    offer: Offer,
  ): Promise<{ session: Session; answer: string }> {
    const worker = this.#admit();
    const id = randomBytes(16).toString('base64url');
    const feed = this.#feed(stream, rendition);
    this.#opening++;
    worker.sessions.add(id);
    feed.add(worker);
    try {
      const media = stream.hasAudio === false ? withoutAudio(offer) : offer;
      const answer = await worker.call({ t: 'open', id, feed: feed.id, offer: media });
      const session: Held = {
        id,
        stream: stream.name,
        etag: newEtag(),
        ice: offer.ice,
        feed,
        worker,
        openedAt: Date.now(),
        connected: false,
      };
      this.#sessions.set(id, session);
      if (!this.#feeds.has(feed.id)) worker.post({ t: 'close', id, cause: 'stream removed' });
      return { session, answer };
    } catch (error) {
      worker.sessions.delete(id);
      this.#leaveFeed(feed, worker, id);
      throw error;
    } finally {
      this.#opening--;
    }
  }

  session(id: string): Session | undefined {
    return this.#sessions.get(id);
  }

  /** Adds candidates the player found after its offer. */
  trickle(session: Session, fragment: Fragment): void {
    this.#held(session.id).worker.post({
      t: 'candidates',
      id: session.id,
      candidates: fragment.candidates,
    });
  }

  /** @returns the fragment with the gateway's new credentials; the session has a new entity tag */
  async restart(session: Session, fragment: Fragment): Promise<string> {
    const held = this.#held(session.id);
    const answer = await held.worker.call({ t: 'restart', id: session.id, fragment });
    held.ice = fragment.ice;
    held.etag = newEtag();
    return answer;
  }

  end(session: Session, cause: string): void {
    this.#held(session.id).worker.post({ t: 'close', id: session.id, cause });
    // Gone for the player at once; its ports are free when the worker says so.
    this.#forget(session.id, cause);
  }

  /** Ends every session and thread. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#pool.close();
    for (const id of [...this.#sessions.keys()]) this.#forget(id, 'gateway stops');
    for (const feed of this.#feeds.values()) feed.close();
    this.#feeds.clear();
  }

  /** Made anew for each line: a child keeps the level that its parent had when it was made. */
  get #logger(): Logger {
    return this.#rootLogger.child({ component: 'webrtc' });
  }

  #admit(): ViewerWorker {
    const { maxViewers } = this.config;
    const full = this.#sessions.size + this.#opening >= maxViewers;
    const worker = full || this.#closed ? undefined : this.#pool.pick();
    if (worker !== undefined) return worker;
    const reason = full
      ? `All ${maxViewers} viewer places are taken; raise webrtc.maxViewers`
      : 'No UDP port is free for another viewer; widen webrtc.portRange';
    throw new ClearwayError('CLEARWAY_OVERLOADED', `${reason} or try again shortly.`, {
      status: 503,
      retryable: true,
      retryAfter: 5,
    });
  }

  #feed(stream: PublishedStream, rendition: Rendition): Feed {
    for (const feed of this.#feeds.values()) {
      if (feed.stream === stream.name && feed.rendition === rendition) return feed;
    }
    const id = this.#nextFeed++;
    const feed = new Feed(id, stream, rendition, () => this.#closeFeed(id, 'stream ended'));
    this.#feeds.set(id, feed);
    return feed;
  }

  #leaveFeed(feed: Feed, worker: ViewerWorker, session: string): void {
    feed.remove(worker, session);
    if (!feed.empty || !this.#feeds.delete(feed.id)) return;
    feed.close();
  }

  #closeStream(name: string, cause: string): void {
    for (const feed of [...this.#feeds.values()]) if (feed.stream === name) this.#closeFeed(feed.id, cause);
  }

  #closeFeed(id: number, cause: string): void {
    const feed = this.#feeds.get(id);
    if (feed === undefined) return;
    this.#feeds.delete(id);
    feed.close();
    for (const session of [...this.#sessions.values()]) if (session.feed === feed) this.end(session, cause);
  }

  #listen(worker: ViewerWorker): void {
    worker.on('connected', (id) => {
      const session = this.#sessions.get(id);
      if (session === undefined) return;
      session.connected = true;
      this.#logger.info({ ...about(session), ms: Date.now() - session.openedAt }, 'viewer joined');
      this.#count(session.stream);
    });
    worker.on('closed', (id, cause) => this.#forget(id, cause));
    worker.on('keyframe', (feed) => this.#feeds.get(feed)?.requestKeyframe());
    worker.on('report', (viewers) => this.#report(viewers));
    worker.on('sent', (units) => {
      for (const { feed, pts, at } of units) {
        const stream = this.#feeds.get(feed)?.stream;
        if (stream !== undefined) this.#sent?.(stream, pts, at);
      }
    });
    worker.on('warning', (message) => this.#logger.warn({ message }, 'viewer worker warns'));
    worker.on('died', (cause) => {
      this.#logger.error({ cause, viewers: worker.sessions.size }, 'viewer worker died; starting another');
      for (const id of worker.sessions) this.#forget(id, 'viewer worker died');
    });
  }

  #report(viewers: ViewerReport[]): void {
    for (const { id, lost, bps } of viewers) {
      const session = this.#sessions.get(id);
      if (session === undefined) continue;
      if (lost > 0) this.#metrics.webrtcPacketsLost.inc({ stream: session.stream }, lost);
      if (bps !== undefined) session.feed.estimate(id, bps);
    }
  }

  #held(id: string): Held {
    const session = this.#sessions.get(id);
    if (session !== undefined) return session;
    throw new ClearwayError('CLEARWAY_SESSION_NOT_FOUND', 'The session has ended; POST a new offer.', {
      status: 404,
    });
  }

  #forget(id: string, cause: string): void {
    const session = this.#sessions.get(id);
    if (session === undefined) return;
    this.#sessions.delete(id);
    const seconds = (Date.now() - session.openedAt) / 1000;
    this.#logger.info({ ...about(session), cause, seconds }, 'viewer left');
    this.#leaveFeed(session.feed, session.worker, id);
    if (session.connected) this.#count(session.stream);
  }

  #count(stream: string): void {
    const viewers = this.viewers(stream);
    this.#metrics.viewers.set({ stream, protocol: 'webrtc' }, viewers);
    for (const listener of this.#listeners) listener(stream, viewers);
  }
}

function newEtag(): string {
  return `"${randomBytes(9).toString('base64url')}"`;
}

/** A session's URL is its key, so logs get its beginning only. */
function about({ id, stream, feed }: Held): Record<string, unknown> {
  return { stream, rendition: feed.rendition, session: id.slice(0, 6) };
}

function withoutAudio(offer: Offer): Offer {
  const media = offer.media.map((m) =>
    m.kind === 'audio' ? { kind: m.kind, protocol: m.protocol, mid: m.mid } : m,
  );
  return { ...offer, media };
}
