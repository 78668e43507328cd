import type { ErrorInfo } from './errors.ts';

/** How a video file is to be restored. */
export interface FileSettings {
  /** Directory name under models/ or `auto`. */
  model: string;
  /** 0..1 */
  strength: number;
  /** 0..1 */
  smoothing: number;
  /** Lines of the result; the picture keeps its shape. */
  height: 'source' | number;
  codec: 'h264' | 'hevc' | 'av1';
  /** Constant quality as the encoder counts it (h264, hevc 0..51; av1 0..63); undefined = the codec's usual. */
  crf: number | undefined;
}

/** Constant quality (CRF) of each codec: what it uses unless told otherwise, and its largest; 0 is the best. */
export const CRF: Record<FileSettings['codec'], { usual: number; worst: number }> = {
  h264: { usual: 18, worst: 51 },
  hevc: { usual: 20, worst: 51 },
  av1: { usual: 28, worst: 63 },
};

/** A file to restore. Paths are absolute; the result appears at `output` only when it is complete. */
export interface FileRequest {
  input: string;
  output: string;
  settings: FileSettings;
}

/** What probing found of a file that is to be restored. */
export interface FileInput {
  bytes: number;
  /** ffmpeg's name of the container, found by content. */
  container: string;
  codec: string;
  /** Luma samples of the upright picture. */
  width: number;
  height: number;
  hasAudio: boolean;
  /** Width of one sample by its height; absent where they are square. */
  sampleAspect?: number;
  /** Seconds; absent when the file does not say, as are the next two. */
  duration?: number;
  /** Mean frames a second. */
  fps?: number;
  /** Counted or estimated. */
  frames?: number;
}

export interface FileProgress {
  stage: 'probing' | 'restoring' | 'finishing';
  /** Frames finished. */
  frames: number;
  /** Frames in all, estimated from the container; undefined when it does not say. */
  total: number | undefined;
  /** Frames a second, lately. */
  fps: number;
  /** Seconds left, estimated. */
  left: number | undefined;
}

export interface FileResult {
  frames: number;
  /** Seconds. */
  duration: number;
  width: number;
  height: number;
  model: string;
  provider: string;
  /** What could not be kept as it was, each a sentence. */
  warnings: string[];
}

/** gateway -> restorer */
export type FileCommand = { t: 'file'; id: number; request: FileRequest } | { t: 'file-cancel'; id: number };

/** restorer -> gateway */
export type FileEvent =
  | { t: 'file-progress'; id: number; progress: FileProgress }
  | { t: 'file-done'; id: number; result: FileResult }
  | { t: 'file-failed'; id: number; error: ErrorInfo };
