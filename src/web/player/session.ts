import type { Rendition } from '../../contracts/media.ts';

export type Protocol = 'webrtc' | 'hls';

/** Why a session ended or never began. */
export interface Failure {
  /**
   * `gone`: the gateway or this session on it does not answer; `offline`: the camera has no picture to give;
   * `refused`: not allowed; `unusable`: this protocol does not work from here.
   */
  kind: 'gone' | 'offline' | 'refused' | 'unusable';
  /** In words. */
  why: string;
  /** Seconds to wait before asking again. */
  retryAfter?: number | undefined;
}

export interface SessionOptions {
  stream: string;
  rendition: Rendition;
  /** Called at most once; the session is closed by then. */
  failed(failure: Failure): void;
}

/** One attempt at playing one rendition over one protocol into its own video element. */
export interface Session {
  readonly protocol: Protocol;
  readonly rendition: Rendition;
  readonly video: HTMLVideoElement;
  /** Arrival of a shown frame at the gateway, Unix ms on the gateway's clock; undefined when not known. */
  arrival(frame: VideoFrameCallbackMetadata, gatewayNow: number): number | undefined;
  /** Tries to get a stopped picture going again without a new session; `failed` is called when that is no use. */
  recover?(): void;
  /** Leaves out what was missed: browsers pause the silent video of a hidden page. */
  toLive?(): void;
  close(): void;
}

/** A muted, playing video element that nobody sees: its frames are drawn elsewhere. */
export function makeVideo(): HTMLVideoElement {
  const video = document.createElement('video');
  video.muted = true;
  video.autoplay = true;
  video.playsInline = true;
  video.disablePictureInPicture = true;
  video.tabIndex = -1;
  video.setAttribute('aria-hidden', 'true');
  return video;
}
