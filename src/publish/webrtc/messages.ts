import type { ErrorInfo } from '../../contracts/errors.ts';
import type { Fragment } from './fragment.ts';
import type { Offer } from './offer.ts';

/** What a viewer worker is started with. */
export interface WorkerOptions {
  /** UDP ports of this worker alone, both ends included. */
  ports: [number, number];
  /** Addresses to offer besides the local ones; host names are resolved. */
  additionalHosts: string[];
  /** `stun:host:port` */
  stun?: string;
}

/** gateway -> viewer worker. A feed is one rendition of one stream; a call is answered by one reply. */
export type WorkerCommand =
  | { t: 'open'; call: number; id: string; feed: number; offer: Offer }
  | { t: 'restart'; call: number; id: string; fragment: Fragment }
  | { t: 'candidates'; id: string; candidates: string[] }
  | { t: 'close'; id: string; cause: string }
  | { t: 'video'; feed: number; data: Uint8Array; pts: number; key: boolean }
  | { t: 'audio'; feed: number; data: Uint8Array; pts: number }
  /** The next video unit that counts is a keyframe. */
  | { t: 'gap'; feed: number }
  | { t: 'shutdown' };

/** One second of one viewer. */
export interface ViewerReport {
  id: string;
  /** RTP packets newly reported lost. */
  lost: number;
  /** Bits per second its path carries, once known. */
  bps: number | undefined;
}

/** A picture that went to all viewers of a feed on one thread. */
export interface SentUnit {
  feed: number;
  /** Output clock, 90 kHz ticks. */
  pts: number;
  /** Unix ms when its packets were with the viewers' connections. */
  at: number;
}

/** viewer worker -> gateway */
export type WorkerEvent =
  | { t: 'opened'; call: number; answer: string }
  | { t: 'restarted'; call: number; fragment: string }
  | { t: 'failed'; call: number; error: ErrorInfo & { status: number; retryAfter?: number } }
  | { t: 'connected'; id: string }
  /** The viewer is gone; its ports are free again. */
  | { t: 'closed'; id: string; cause: string }
  | { t: 'keyframe'; feed: number }
  /** Media messages dealt with since the last ack. */
  | { t: 'ack'; count: number; sent: SentUnit[] }
  | { t: 'report'; viewers: ViewerReport[] }
  | { t: 'warning'; message: string };
