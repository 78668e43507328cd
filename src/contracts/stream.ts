import type { ErrorInfo } from './errors.ts';
import type { Rendition } from './media.ts';

export const STREAM_STATES = ['idle', 'connecting', 'live', 'degraded', 'backoff', 'disabled'] as const;
export type StreamState = (typeof STREAM_STATES)[number];

export const STAGES = ['decode', 'queue', 'restore', 'smooth', 'encode'] as const;
export type Stage = (typeof STAGES)[number];

export const OUTCOMES = ['restored', 'passthrough', 'dropped'] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** Why a frame did not reach an encoder. */
export const DROP_CAUSES = ['queue-full', 'late', 'corrupt', 'timestamp', 'restart', 'encoder'] as const;
export type DropCause = (typeof DROP_CAUSES)[number];

/** Quantiles over the last few seconds, in milliseconds. */
export interface LatencySummary {
  p50: number;
  p95: number;
  max: number;
}

/** No-reference figures of one picture, luma in 8-bit levels; see restore/picture-quality.ts. */
export interface PictureQuality {
  /** Standard deviation of the noise where the picture is flat. */
  noise: number;
  /** Step at 8x8 block edges beyond the steps beside them. */
  blockiness: number;
  /** Change to the next frame where nothing moves. */
  flicker: number;
}

/** What the source turned out to be, from the decoder. */
export interface SourceInfo {
  /** As the camera sends it. */
  width: number;
  height: number;
  codec: string;
  /** Frames per second, measured once known. */
  fps: number;
  hasAudio: boolean;
  /** What decodes it: `software`, `cuda` or `vaapi`; `software (why)` after a hardware decoder failed. */
  decoder?: string;
  /** Bits per second of the camera's video, measured. */
  bitrate?: number;
  /** Whether the camera says when its pictures were taken (RTCP sender reports); `wrong`: it does, and it cannot be. */
  captureClock?: 'camera' | 'wrong';
  /** How long before its time on the output clock a picture was taken, ms; only with `captureClock: 'camera'`. */
  captureLead?: number;
}

/** What the restorer does with the stream right now, and why. */
export interface RestorationInfo {
  /** The model in use, or `none` when frames pass through. */
  model: string;
  provider: string;
  /** Size of the restored picture. */
  width: number;
  height: number;
  strength: number;
  smoothing: number;
  /** In one sentence: why this model and this height. */
  reason: string;
  /** Position on the ladder: 0 = as wanted; higher = lighter. */
  step: number;
}

/** A stream's whole public state: what the API returns, `/events` pushes and the page shows. */
export interface StreamStatus {
  name: string;
  /** What people see in place of the name, where it has been given one. */
  title?: string;
  state: StreamState;
  /** Why it is in this state, in words. */
  cause: string;
  error?: ErrorInfo;
  /** ISO 8601, when this state began. */
  since: string;
  /** ISO 8601, when the next connection attempt is due (backoff). */
  retryAt?: string;
  reconnects: number;
  /** Source URL, credentials redacted. */
  source: string;
  onDemand: boolean;
  input?: SourceInfo;
  restoration?: RestorationInfo;
  /**
   * What encodes each rendition that somebody wants: `software`, `nvenc` or `vaapi`; `software (why)` after a hardware
   * encoder failed.
   */
  encoders?: Partial<Record<Rendition, string>>;
  /** Over the last seconds: frames per second published, and totals since start. */
  fps: number;
  frames: { restored: number; passthrough: number; dropped: number };
  latency?: Partial<Record<Stage | 'total', LatencySummary>>;
  viewers: { webrtc: number; hls: number };
}
