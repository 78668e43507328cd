import type { FileProgress } from '../contracts/file.ts';

/** Progress is told this often, ms; a new stage at once. */
const EVERY = 500;

/** Passes on the first progress, every change of stage, and else one every half second. */
export function limited(tell: (progress: FileProgress) => void): (progress: FileProgress) => void {
  let told = Number.NEGATIVE_INFINITY;
  let stage: FileProgress['stage'] | undefined;
  return (progress) => {
    const at = performance.now();
    if (progress.stage === stage && at - told < EVERY) return;
    told = at;
    stage = progress.stage;
    tell(progress);
  };
}
