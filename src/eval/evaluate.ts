import { type Condition, DegradedClip } from './conditions.ts';
import { measure } from './measures.ts';
import { INPUT, mean, type Row } from './report.ts';
import { FILTERS, filterSubject, type Subject } from './subjects.ts';

/** Pixels that times are scaled to. */
const SCALE = 640 * 360;

export interface Plan {
  clips: readonly string[];
  /** Frames of each clip, from its first. */
  frames: number;
  conditions: readonly Condition[];
  /** Directory for intermediate files. */
  work: string;
  progress(line: string): void;
}

/** Measures every subject on every clip under every condition; `subjects` may depend on the condition. */
export async function evaluate(plan: Plan, subjects: (condition: Condition) => Subject[]): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [i, path] of plan.clips.entries()) {
    const clip = await DegradedClip.open(path, plan.frames, plan.work);
    const scale = SCALE / (clip.clean.width * clip.clean.height);
    for (const condition of plan.conditions) {
      const degraded = await clip.under(condition);
      const add = (subject: string, frames: Uint8Array[], cpu: number) =>
        rows.push({
          clip: clip.name,
          condition,
          subject,
          measures: measure(frames, clip.clean),
          cpu: cpu * scale,
        });
      add(INPUT, degraded.frames, 0);
      for (const subject of subjects(condition)) {
        plan.progress(`${i + 1}/${plan.clips.length} ${clip.name} ${condition} ${subject.name}`);
        const { frames, cpu } = await subject.restore(degraded);
        add(subject.name, frames, cpu);
      }
    }
  }
  return rows;
}

/** Each filter's strength for a condition: the middle one, or the best PSNR on a plan's (validation) clips. */
export async function chooseFilters(
  conditions: readonly Condition[],
  work: string,
  validation?: Plan,
): Promise<Map<Condition, Subject[]>> {
  const noisy = conditions.filter((condition) => condition !== 'clean');
  const candidates = Object.values(FILTERS).map((strengths) => strengths.map((s) => filterSubject(s, work)));
  if (!validation)
    return new Map(noisy.map((condition) => [condition, candidates.map(([, middle]) => middle!)]));
  const rows = await evaluate({ ...validation, conditions: noisy }, () => candidates.flat());
  const score = (subject: Subject, condition: Condition) =>
    mean(
      rows
        .filter((row) => row.subject === subject.name && row.condition === condition)
        .map((row) => row.measures.psnr),
    );
  return new Map(
    noisy.map((condition) => [
      condition,
      candidates.map((strengths) =>
        strengths.reduce((a, b) => (score(b, condition) > score(a, condition) ? b : a)),
      ),
    ]),
  );
}
