import type { Readable } from 'node:stream';
import type { FileInput, FileRequest, FileResult } from '../contracts/file.ts';
import type { RunOptions } from '../contracts/jobs.ts';
import type { InstalledModel } from './identity.ts';

/** What a look into a file tells. */
export interface Looked {
  input: Omit<FileInput, 'bytes'>;
  /** Whether MP4 holds every track of it as it is. */
  fitsMp4: boolean;
}

/** What the service has others do. */
export interface JobTools {
  /** Opens a file on another host; the policy is its own. */
  fetch(
    url: string,
    signal: AbortSignal,
  ): Promise<{ body: Readable; name: string; bytes: number | undefined }>;
  /** Rejects for a file that cannot be restored. */
  look(path: string): Promise<Looked>;
  restore(request: FileRequest, options: RunOptions): Promise<FileResult>;
  frameTimes(path: string): Promise<number[]>;
  frameJpeg(path: string, seconds: number, signal: AbortSignal): Promise<Uint8Array>;
  models: readonly InstalledModel[];
}
