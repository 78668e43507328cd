import type { JobStatus } from './jobs.ts';
import type { StreamStatus } from './stream.ts';

/** `WS /events`, server to client. A stream's status comes on every state change and once a second while live. */
export type ServerEvent =
  | { type: 'streams'; streams: StreamStatus[] }
  | { type: 'stream'; stream: StreamStatus }
  | { type: 'removed'; name: string }
  /** Files that are restored, once after connecting: the newest 100 that the caller may see. */
  | { type: 'jobs'; jobs: JobStatus[] }
  /** A job that is new or changed; progress comes twice a second. */
  | { type: 'job'; job: JobStatus }
  | { type: 'job-removed'; id: string }
  /**
   * Answer to `ping`: `t0` as sent, and the gateway's Unix time in ms by two clocks. `now` is that of pictures and
   * latencies, which never steps, for clock-offset estimation (as NTP does); `wall` the host's, by which everything is
   * dated: it goes ahead of `now` when it is set, and when the host was suspended.
   */
  | { type: 'pong'; t0: number; now: number; wall: number };

/** `WS /events`, client to server. */
export type ClientEvent =
  | { type: 'ping'; t0: number }
  /**
   * Display latency samples of one player, ms, at most 256 a message. With `pts`, the times of these frames on the
   * output clock (90 kHz ticks), the gateway can say how much of each went by after its last byte left.
   */
  | { type: 'latency'; stream: string; protocol: 'webrtc' | 'hls'; ms: number[]; pts?: number[] | undefined };
