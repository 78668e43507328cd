import type { ErrorInfo } from '../contracts/errors.ts';
import type { Accelerator } from '../contracts/restorer.ts';
import type { Provider } from './device/device.ts';
import type { FileAnswer, FileOrder } from './file/protocol.ts';
import type { PackedWindows } from './packed-windows.ts';
import type { FrameRequest, FrameTimings } from './restoration.ts';

export interface InferenceOptions {
  /** Directory of model directories. */
  models: string;
  provider: Provider | 'auto';
  /** The one provider to try, whatever `provider` says. */
  only?: Provider;
  /** Providers on which earlier restorers died: left out. */
  avoid?: Provider[];
  threads: number;
  /** Number of the GPU, for providers that can be told. */
  device?: number;
  /** Inference threads; as many as its provider is fastest with when absent. */
  lanes?: number;
  /** What an earlier restorer of this host found: its speeds are not measured again. */
  known?: Pick<Accelerator, 'provider' | 'speeds'>;
}

/** main thread -> inference thread. Buffers are transferred, never shared. */
export type InferenceCommand =
  | {
      t: 'frame';
      id: number;
      stream: string;
      /** A model's name, or `none`. */
      model: string;
      request: FrameRequest;
      picture: ArrayBuffer;
      /** Where the finished picture goes. */
      out: ArrayBuffer;
      /** Where a copy of the unrestored centre frame goes, when wanted. */
      source: ArrayBuffer | undefined;
    }
  | { t: 'forget'; stream: string }
  /** Give a stream's windows up to another thread, which takes them over. */
  | { t: 'hand-over'; id: number; stream: string }
  | { t: 'take-over'; stream: string; windows: PackedWindows }
  | { t: 'file'; id: number; order: FileOrder }
  | { t: 'forget-file'; file: number }
  /** Finish what runs, release the graphs and end the thread. */
  | { t: 'close' };

/** inference thread -> main thread */
export type InferenceEvent =
  /** The next provider is about to be opened. */
  | { t: 'trying'; provider: Provider }
  | { t: 'ready'; accelerator: Omit<Accelerator, 'lanes'> }
  | FileAnswer
  /** Undefined when there are none, or they could not be read: the stream begins anew. */
  | { t: 'handed-over'; id: number; windows: PackedWindows | undefined }
  | {
      t: 'done';
      id: number;
      stream: string;
      /** Undefined while a lookahead waits: no picture came out. */
      timings: FrameTimings | undefined;
      /** Frames taken in whose pictures have not come out yet. */
      pending: number;
      /** Unix ms when the thread took the frame up. */
      began: number;
      out: ArrayBuffer;
      source: ArrayBuffer | undefined;
      recycled: ArrayBuffer[];
      /** The frame went out unrestored because the network failed on it. */
      error?: ErrorInfo;
    };
