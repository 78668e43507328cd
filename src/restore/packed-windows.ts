import type { HostTensor } from './device/device.ts';
import type { Scene } from './scene-cut.ts';

/** A stream's windows in host memory, on their way from one inference thread to another. */
export interface PackedWindows {
  /** A model's name, or `none`. */
  model: string;
  width: number;
  height: number;
  paddedWidth: number;
  paddedHeight: number;
  /** The ring, oldest first, as it came. */
  pictures: ArrayBuffer[];
  /** How many of them have not come out yet. */
  unfinished: number;
  state: Record<string, HostTensor>;
  smoothed: HostTensor | undefined;
  scene: Scene;
}

/** What is transferred with them instead of copied. */
export function buffersOf({ pictures, state, smoothed }: PackedWindows): ArrayBuffer[] {
  const tensors = [...Object.values(state), ...(smoothed ? [smoothed] : [])];
  return [...pictures, ...tensors.map(({ data }) => data.buffer as ArrayBuffer)];
}
