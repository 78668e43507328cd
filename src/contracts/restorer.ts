import type { ModelInfo } from './control.ts';
import type { ErrorInfo } from './errors.ts';
import type { AccessUnit, AudioPacket, Rendition } from './media.ts';
import type {
  DropCause,
  LatencySummary,
  PictureQuality,
  RestorationInfo,
  SourceInfo,
  Stage,
} from './stream.ts';

/** What one frame of a model costs on this host, restorer and smoother together. */
export interface ModelSpeed {
  /** ms a run, whatever the picture. */
  fixed: number;
  /** ms a million luma samples. */
  perMegapixel: number;
}

/** Providers of ONNX Runtime, the likely fastest first. */
export const PROVIDERS = ['tensorrt', 'cuda', 'webgpu', 'cpu'] as const;

/** Encoders of GPUs, the likely best first. Intel's come through VAAPI, as for decoding: no QSV. */
export const HARDWARE_ENCODERS = ['nvenc', 'vaapi'] as const;
export type HardwareEncoderName = (typeof HARDWARE_ENCODERS)[number];

/** What came of one provider on this host. */
export interface ProviderStatus {
  provider: (typeof PROVIDERS)[number];
  works: boolean;
  /** A sentence: what is missing and how to get it, or what was checked. */
  detail: string;
}

/** What the accelerator turned out to be. */
export interface Accelerator {
  provider: ProviderStatus['provider'];
  models: ModelInfo[];
  speeds: Record<string, ModelSpeed>;
  /** Runs it does at the same time, or is to do once its models are open so many times. */
  lanes: number;
  /** Every provider that was tried, in order. */
  providers: ProviderStatus[];
}

/** What decodes instead of the CPU. */
export interface HardwareDecoder {
  /** ffmpeg's `-hwaccel`. */
  method: 'cuda' | 'vaapi';
  /** Number of the GPU, for CUDA. */
  device: number;
}

/** What a restorer found on its host. */
export interface RestorerFacts extends Accelerator {
  /** What decodes; software when absent. */
  decoder?: HardwareDecoder;
  /** What encodes; software when absent. */
  encoder?: HardwareEncoderName;
}

/** How one stream's picture is restored; every field may change while it runs. */
export interface RestoreSettings {
  /** Directory name under models/, `auto` or `none`. */
  model: string;
  height: 'auto' | number;
  /** 0..1 */
  strength: number;
  /** 0..1 */
  smoothing: number;
  /** Arrival to access unit, ms. */
  latencyBudget: number;
}

/** Where a source is opened. */
export interface SourceAddress {
  /** The whole URL with credentials, already allowed by the source policy. */
  url: string;
  /** URL of the HTTP proxy that ffmpeg goes through, which checks where the source leads. */
  proxy?: string;
  /** What ffmpeg opens in place of `url`: the proxy speaks TLS for it. */
  opens?: string;
}

/** What the restorer needs to open a source once. */
export interface SourceSpec extends SourceAddress {
  transport: 'auto' | 'tcp' | 'udp';
  audio: boolean;
  /** Seconds without a frame after which the session ends as stalled. */
  stallTimeout: number;
}

/** gateway -> restorer */
export type RestorerCommand =
  | {
      t: 'start';
      stream: string;
      session: number;
      source: SourceSpec;
      settings: RestoreSettings;
      bitrate: number;
    }
  | { t: 'stop'; stream: string }
  | { t: 'settings'; stream: string; settings: RestoreSettings }
  /** `watched`: somebody sees the restored picture now; a stream that is always on is encoded all the same. */
  | {
      t: 'watch';
      stream: string;
      renditions: Rendition[];
      opus: boolean;
      aac: boolean;
      watched?: boolean;
    }
  | { t: 'keyframe'; stream: string; rendition: Rendition }
  | { t: 'bitrate'; stream: string; rendition: Rendition; bps: number }
  | { t: 'snapshot'; stream: string; rendition: Rendition; id: number }
  /** Logs from this level on. */
  | { t: 'log'; level: string }
  | { t: 'shutdown' };

/** One second of one stream, in numbers. */
export interface StreamReport {
  stream: string;
  restored: number;
  passthrough: number;
  dropped: Partial<Record<DropCause, number>>;
  fps: number;
  /** Milliseconds a frame, every frame of the second. */
  stages: Record<Stage, number[]>;
  total: number[];
  /** Unix ms at which each of these frames arrived. */
  arrivals: number[];
  /** Milliseconds from the capture of each of these frames to its arrival; null where the camera does not say. */
  captured?: (number | null)[];
  /** Seconds for which frames have been arriving with the same content. */
  unchanged: number;
  /** Sampled every few seconds; absent in the reports between. */
  quality?: { before: PictureQuality; after: PictureQuality };
  latency: Partial<Record<Stage | 'total', LatencySummary>>;
  input?: SourceInfo;
  restoration?: RestorationInfo;
  encoders?: Partial<Record<Rendition, string>>;
}

/** restorer -> gateway */
export type RestorerEvent =
  /**
   * A provider, or an encoder, is about to be opened: if the restorer dies before `opened` and had no streams, the last
   * that it tried took it down.
   */
  | { t: 'trying'; provider: ProviderStatus['provider'] }
  | { t: 'trying'; encoder: HardwareEncoderName }
  /** Whether it opens its models in another lane, beside those that restore. */
  | { t: 'trying'; lane: boolean }
  /** Its models are open, and its hardware was tried. */
  | ({ t: 'opened' } & RestorerFacts)
  /** It takes commands: after that, or at once and passing frames through where an earlier one's facts are known. */
  | { t: 'ready' }
  /** Once a second: the process is not stuck. */
  | { t: 'alive' }
  | { t: 'live'; stream: string; session: number; input: SourceInfo }
  | { t: 'unit'; stream: string; session: number; unit: AccessUnit }
  | { t: 'audio'; stream: string; session: number; packet: AudioPacket }
  | { t: 'discontinuity'; stream: string; session: number; cause: string }
  | { t: 'report'; report: StreamReport }
  | { t: 'ended'; stream: string; session: number; error: ErrorInfo }
  | { t: 'snapshot'; id: number; jpeg?: Uint8Array; error?: ErrorInfo };
