import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ClearwayError } from '../contracts/errors.ts';
import type { RestorerGraph, SmootherGraph } from '../restore/graph.ts';
import { Restoration } from '../restore/restoration.ts';
import { readVideo, toY4m, type Video } from './video.ts';

/** What is measured: a model, or a filter to compare it with. */
export interface Subject {
  name: string;
  restore(degraded: Video): Promise<Restored>;
}

export interface Restored {
  /** Oldest first; a model with lookahead has none for the last ones. */
  frames: Uint8Array[];
  /** Processor time a frame took, all threads together, ms: other work on the machine changes it little. */
  cpu: number;
}

/** A restorer, with a smoother after it if given, run as the gateway runs it, at full strength. */
export function modelSubject(graph: RestorerGraph, smoother?: SmootherGraph): Subject {
  const name = graph.manifest.name + (smoother ? ` + ${smoother.manifest.name}` : '');
  return {
    name,
    async restore({ width, height, frames }) {
      const restoration = new Restoration();
      const request = { width, height, strength: 1, smoothing: smoother ? 1 : 0, restore: true };
      const out: Uint8Array[] = [];
      const began = process.cpuUsage();
      for (const [i, frame] of frames.entries()) {
        const picture = new Uint8Array(frame.length);
        const timings = await restoration.next(
          frame.buffer.slice(0),
          { ...request, fresh: i === 0 },
          graph,
          smoother,
          picture,
          [],
        );
        if (timings) out.push(picture);
      }
      const { user, system } = process.cpuUsage(began);
      if (out.length !== frames.length - graph.manifest.window.future) {
        throw new ClearwayError('CLEARWAY_BAD_REQUEST', `${name} waits at a cut: use clips of one scene.`, {
          status: 400,
        });
      }
      return { frames: out, cpu: (user + system) / 1000 / frames.length };
    },
  };
}

/**
 * ffmpeg's denoisers at three strengths each, in the order from weak to strong. Which one is used is chosen on
 * validation clips, or else the middle one.
 */
export const FILTERS: Record<string, readonly [string, string, string]> = {
  hqdn3d: ['hqdn3d=4', 'hqdn3d=8', 'hqdn3d=16'],
  nlmeans: ['nlmeans=s=4', 'nlmeans=s=8', 'nlmeans=s=12'],
  bm3d: ['bm3d=sigma=10', 'bm3d=sigma=20', 'bm3d=sigma=30'],
  fftdnoiz: ['fftdnoiz=sigma=10', 'fftdnoiz=sigma=20', 'fftdnoiz=sigma=30'],
  atadenoise: [ata(0.02, 0.04), ata(0.06, 0.3), ata(0.2, 1)],
  vaguedenoiser: ['vaguedenoiser=threshold=2', 'vaguedenoiser=threshold=5', 'vaguedenoiser=threshold=10'],
};

/** Per frame and over the averaged frames, how much a pixel may differ (0..0.3, 0..5), the same for all planes. */
function ata(a: number, b: number): string {
  return `atadenoise=${[0, 1, 2].map((plane) => `${plane}a=${a}:${plane}b=${b}`).join(':')}`;
}

/** An ffmpeg filter on two threads; its time is what it adds to copying the same pictures. */
export function filterSubject(expression: string, work: string): Subject {
  return {
    name: expression.startsWith('atadenoise') ? expression.split(':').slice(0, 2).join(':') : expression,
    async restore(degraded) {
      const path = join(work, 'filter-input.y4m');
      await writeFile(path, toY4m(degraded));
      const copied = await readVideo(path);
      const { frames, cpu } = await readVideo(path, expression);
      return { frames, cpu: Math.max(0, cpu - copied.cpu) / frames.length };
    },
  };
}

export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0;
}
