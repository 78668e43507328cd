import { basename, join } from 'node:path';
import { readVideo, runFfmpeg, type Video } from './video.ts';

/**
 * What a camera does to a clean clip. noise: temporal sensor noise alone. lowrate: H.264 at QP 37. night: stronger
 * noise, then H.264 at CRF 33. mjpeg: q 14. clean: nothing. H.264 as cheap cameras make it: no B-frames, GOP 50.
 */
export const CONDITIONS = ['noise', 'lowrate', 'night', 'mjpeg', 'clean'] as const;
export type Condition = (typeof CONDITIONS)[number];

const LOSSLESS = ['-c:v', 'libx264', '-qp', '0', '-preset', 'ultrafast', '-threads', '1'];
const CAMERA = '-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -g 50 -threads 1'.split(' ');

const ENCODERS: Record<Condition, string[]> = {
  clean: ['-pix_fmt', 'yuv420p', ...LOSSLESS],
  noise: ['-vf', 'noise=alls=20:allf=t:all_seed=7', ...LOSSLESS],
  lowrate: [...CAMERA, '-qp', '37'],
  night: ['-vf', 'noise=alls=24:allf=t:all_seed=7', ...CAMERA, '-crf', '33'],
  mjpeg: ['-c:v', 'mjpeg', '-q:v', '14', '-pix_fmt', 'yuvj420p'],
};

/** A clip's first frames, clean and under each of some conditions. One thread and a fixed seed: the same every time. */
export class DegradedClip {
  readonly name: string;
  readonly clean: Video;
  private readonly reference: string;

  private constructor(name: string, reference: string, clean: Video) {
    this.name = name;
    this.reference = reference;
    this.clean = clean;
  }

  /** @param work directory for intermediate files, the caller's to remove */
  static async open(clip: string, frames: number, work: string): Promise<DegradedClip> {
    const reference = join(work, `${basename(clip)}.clean.mkv`);
    await encode(clip, 'clean', reference, ['-frames:v', String(frames), '-an']);
    const name = basename(clip).replace(/\.[^.]*$/, '');
    return new DegradedClip(name, reference, await readVideo(reference));
  }

  async under(condition: Condition): Promise<Video> {
    if (condition === 'clean') return this.clean;
    const path = this.reference.replace(/clean\.mkv$/, `${condition}.mkv`);
    await encode(this.reference, condition, path);
    return readVideo(path);
  }
}

async function encode(from: string, condition: Condition, to: string, more: string[] = []): Promise<void> {
  const exact = ['-fflags', '+bitexact', '-flags:v', '+bitexact'];
  await runFfmpeg(['-threads', '1', '-i', from, ...more, ...ENCODERS[condition], ...exact, to]);
}
