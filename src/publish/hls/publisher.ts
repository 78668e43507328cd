import { EventEmitter } from 'node:events';
import type { Config } from '../../config/schema.ts';
import { RENDITIONS, type Rendition } from '../../contracts/media.ts';
import type { PublishedStream, StreamDirectory } from '../../contracts/publish.ts';
import type { Logger } from '../../telemetry/log.ts';
import type { Metrics } from '../../telemetry/metrics.ts';
import type { Position } from './media-window.ts';
import type { RenditionReport } from './playlist.ts';
import { uris } from './playlist.ts';
import { RenditionMuxer } from './rendition-muxer.ts';
import { Sessions } from './sessions.ts';

export interface HlsPublisherOptions {
  streams: StreamDirectory;
  config: Config['hls'];
  logger: Logger;
  metrics: Metrics;
}

export function createHlsPublisher(options: HlsPublisherOptions): HlsPublisher {
  return new HlsPublisher(options);
}

/** Every rendition that is being watched over HLS, muxed once however many watch. */
export class HlsPublisher {
  readonly #options: HlsPublisherOptions;
  readonly #muxers = new Map<string, RenditionMuxer>();
  /** Where closed muxers ended: sequence numbers go on from there, so that players which come back follow. */
  readonly #ends = new Map<string, Position>();
  readonly #events = new EventEmitter<{ viewers: [stream: string, viewers: number] }>();
  readonly #sessions: Sessions;

  constructor(options: HlsPublisherOptions) {
    this.#options = options;
    this.#sessions = new Sessions((stream, viewers) => {
      options.metrics.viewers.set({ stream, protocol: 'hls' }, viewers);
      this.#events.emit('viewers', stream, viewers);
    });
    options.streams.on('removed', (name) => this.#forget(name));
  }

  /** Sessions seen within the last three target durations. */
  viewers(stream: string): number {
    return this.#sessions.count(stream);
  }

  /** Calls `listener` whenever the number of a stream's viewers changes, until the function it returns is called. */
  onViewers(listener: (stream: string, viewers: number) => void): () => void {
    this.#events.on('viewers', listener);
    return () => this.#events.off('viewers', listener);
  }

  /** Stops every muxer; requests under way are answered 503. */
  close(): void {
    for (const muxer of this.#muxers.values()) muxer.close();
    this.#muxers.clear();
    this.#sessions.close();
    this.#events.removeAllListeners();
  }

  /** For the routes: the muxer of a rendition, begun when it is not there or has ended. */
  open(stream: PublishedStream, rendition: Rendition): RenditionMuxer {
    const key = `${stream.name}/${rendition}`;
    if (this.#muxers.get(key)?.ended) this.#stop(key);
    let muxer = this.#muxers.get(key);
    if (muxer === undefined) {
      const { config, logger } = this.#options;
      muxer = new RenditionMuxer({
        stream,
        rendition,
        config,
        resume: this.#ends.get(key),
        logger: logger.child({ stream: stream.name, rendition }),
        onIdle: () => this.#stop(key),
      });
      this.#muxers.set(key, muxer);
    }
    muxer.touch();
    return muxer;
  }

  /** For the routes: a muxer that is there already. */
  find(stream: string, rendition: Rendition): RenditionMuxer | undefined {
    const muxer = this.#muxers.get(`${stream}/${rendition}`);
    muxer?.touch();
    return muxer;
  }

  /** For the routes: somebody is watching. */
  seen(stream: string, session: string): void {
    this.#sessions.seen(stream, session, 3 * Math.max(1000, this.#options.config.segment));
  }

  /** For the routes: the live edge of a stream's other live renditions. */
  reports(stream: string, except: Rendition): RenditionReport[] {
    return RENDITIONS.flatMap((rendition) => {
      const listed = this.#muxers.get(`${stream}/${rendition}`)?.window?.listed;
      const last = listed?.at(-1);
      if (rendition === except || last === undefined) return [];
      return {
        uri: `../${rendition}/${uris.playlist}`,
        lastMsn: last.msn,
        lastPart: last.parts.length - 1,
      };
    });
  }

  #stop(key: string): void {
    const muxer = this.#muxers.get(key);
    if (muxer === undefined) return;
    this.#muxers.delete(key);
    const end = muxer.close();
    if (end !== undefined) this.#ends.set(key, end);
  }

  #forget(name: string): void {
    for (const rendition of RENDITIONS) {
      this.#stop(`${name}/${rendition}`);
      this.#ends.delete(`${name}/${rendition}`);
    }
    this.#sessions.forget(name);
  }
}
