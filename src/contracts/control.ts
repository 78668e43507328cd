import type { StreamConfigInput, StreamPatch } from '../config/schema.ts';
import type { StreamStatus } from './stream.ts';

/** A model as the API and `doctor` list it. */
export interface ModelInfo {
  name: string;
  kind: 'restorer' | 'smoother';
  description: string;
  version: string;
  window: { past: number; future: number };
  /** What runs it: a restorer may be on another provider than the rest, when the accelerator's lacks an operator. */
  provider?: string;
  /** Present when the directory does not meet the model contract: what is wrong. */
  error?: string;
}

/** Where RTMP pushes are taken. */
export interface RtmpInfo {
  /** Whether they are taken at all. */
  enabled: boolean;
  /** The address it listens on; `0.0.0.0` and `::` are every one of the host's. */
  host: string;
  port: number;
}

/** What HTTP routes and the page may ask of the running gateway. Errors are ClearwayErrors with a status. */
export interface Control {
  list(): StreamStatus[];
  get(name: string): StreamStatus | undefined;
  /** The stream's settings as configured, credentials redacted. */
  settings(name: string): Record<string, unknown> | undefined;
  /** Adds a stream and writes it to the configuration file. Refuses files, lavfi and unsafe URLs. */
  create(name: string, input: StreamConfigInput): Promise<StreamStatus>;
  /** Changes some settings, or takes them back to their defaults, and writes that; what need not restart does not. */
  update(name: string, patch: StreamPatch): Promise<StreamStatus>;
  remove(name: string): Promise<void>;
  models(): ModelInfo[];
  rtmp(): RtmpInfo;
  /** True once configuration is loaded, the restorer answers and every listener is open. */
  ready(): { ready: boolean; reason?: string };
  onStatus(listener: (status: StreamStatus) => void): () => void;
  onRemoved(listener: (name: string) => void): () => void;
  /** Stage timings of every frame of the last `seconds` (1 to 60) in the Trace Event Format; undefined = no such stream. */
  trace(name: string, seconds: number): object | undefined;
  /**
   * Latencies a player measured, ms from the frame's time on the output clock, which is its arrival at the gateway, to
   * its display. `pts`: those times, 90 kHz ticks, in the same order.
   */
  reportViewerLatency(stream: string, protocol: 'webrtc' | 'hls', samples: number[], pts?: number[]): void;
}
