import type { AccessUnit, AudioCodec, AudioPacket, Rendition } from './media.ts';
import type { StreamStatus } from './stream.ts';

/** Receives one rendition of one stream. Called synchronously; must not block and must not keep a view it mutates. */
export interface Sink {
  video(unit: AccessUnit): void;
  audio?(packet: AudioPacket): void;
  /**
   * The timeline broke (camera back after an outage, restorer restarted, picture size changed). The next video
   * unit is a keyframe. The output clock still only moves forward.
   */
  discontinuity?(cause: string): void;
  /** The stream was removed or disabled for good: nothing will follow. */
  end?(): void;
}

export interface SubscribeOptions {
  rendition: Rendition;
  sink: Sink;
  /** Takes one picture and is gone: does not count as somebody who watches. */
  still?: true;
  /** Which audio codec to receive; none when absent. */
  audio?: AudioCodec;
}

/** A subscription keeps its rendition encoded and an on-demand source connected for as long as it is open. */
export interface Subscription {
  /** The next unit of this rendition becomes a keyframe. Requests within 300 ms are merged. */
  requestKeyframe(): void;
  /** Bits per second this subscriber can take, from its receivers' estimates; `undefined` withdraws the wish. */
  setBitrate(bps: number | undefined): void;
  close(): void;
}

/** A stream as publishers see it. */
export interface PublishedStream {
  readonly name: string;
  readonly status: StreamStatus;
  /** Whether the source carries audio; undefined while not known yet. */
  readonly hasAudio: boolean | undefined;
  subscribe(options: SubscribeOptions): Subscription;
  /** One JPEG of the newest picture. Throws CLEARWAY_STREAM_OFFLINE when there is none within 5 s. */
  snapshot(rendition: Rendition): Promise<Uint8Array>;
}

/** All streams, by name. */
export interface StreamDirectory {
  get(name: string): PublishedStream | undefined;
  list(): PublishedStream[];
  on(event: 'removed', listener: (name: string) => void): void;
}
