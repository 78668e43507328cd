import type { FileProgress } from '../../contracts/file.ts';

/** Progress is told this often, ms; a new stage at once. */
const EVERY = 500;
/** "Lately", ms. */
const WINDOW = 5000;

/** Counts the frames of one file as they are finished, and tells how fast and for how long it goes on. */
export class Pace {
  private readonly tell: (progress: FileProgress) => void;
  private readonly total: number | undefined;
  private readonly marks: { at: number; frames: number }[] = [];
  private stage: FileProgress['stage'] = 'probing';
  private told = Number.NEGATIVE_INFINITY;
  frames = 0;

  /** @param total frames in all, as far as is known */
  constructor(total: number | undefined, tell: (progress: FileProgress) => void) {
    this.total = total;
    this.tell = tell;
  }

  enter(stage: FileProgress['stage']): void {
    this.stage = stage;
    this.report(performance.now());
  }

  frame(): void {
    this.frames++;
    const now = performance.now();
    if (now - this.told >= EVERY) this.report(now);
  }

  private report(now: number): void {
    this.told = now;
    const { stage, frames, marks } = this;
    marks.push({ at: now, frames });
    while (marks.length > 2 && now - marks[1]!.at > WINDOW) marks.shift();
    const since = marks[0]!;
    const fps = now > since.at ? ((frames - since.frames) / (now - since.at)) * 1000 : 0;
    // An estimate that turned out too low says nothing any more.
    const total = this.total !== undefined && frames <= this.total ? this.total : undefined;
    const left =
      stage === 'finishing' ? 0 : total !== undefined && fps > 0 ? (total - frames) / fps : undefined;
    this.tell({ stage, frames, total: stage === 'finishing' ? frames : total, fps, left });
  }
}
