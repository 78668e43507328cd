/**
 * Late frames that are too many: two and a half seconds of them at 25 fps. Short trouble (a browser starting beside us)
 * needs no step, since each late frame passes through by itself.
 */
const TOO_MANY = 62;
/** So many are a bad moment and no trouble. */
const FEW = 6;
/** Late frames that one in time makes good: where one in ten is late for ever, no step is taken. */
const MADE_GOOD = 0.1;

/** Why a frame missed its deadline: it waited for others, or it would have been late on an idle accelerator as well. */
export type Miss = 'waited' | 'alone';

/**
 * Which model a stream runs, from what was wanted (step 0) down to passing frames through, and how its last frames did
 * there. Who moves is decided for all streams of an accelerator together (admission.ts).
 */
export class Ladder {
  /** Model names, heaviest first; the last is `none`. */
  readonly steps: readonly string[];
  private at = 0;
  /** Late frames not made good yet; of them those that would have been late alone. */
  private missed = 0;
  private missedAlone = 0;

  /** @param steps model names, heaviest first; `none` is added as the last */
  constructor(steps: string[]) {
    this.steps = [...steps.filter((step) => step !== 'none'), 'none'];
  }

  get step(): number {
    return this.at;
  }

  get model(): string {
    return this.steps[this.at]!;
  }

  /** The step on which frames pass through. */
  get last(): Pick<Ladder, 'step' | 'model'> {
    return { step: this.steps.length - 1, model: 'none' };
  }

  /** The model above; undefined on the step that was wanted. */
  get above(): string | undefined {
    return this.steps[this.at - 1];
  }

  get restores(): boolean {
    return this.at < this.steps.length - 1;
  }

  /** Notes one frame. */
  observe(miss: Miss | undefined): void {
    const good = miss === undefined ? MADE_GOOD : 0;
    this.missed = Math.max(0, this.missed + (miss ? 1 : -good));
    this.missedAlone = Math.max(0, this.missedAlone + (miss === 'alone' ? 1 : -good));
  }

  /** Why too many frames miss their deadline; undefined while they do not. */
  get late(): Miss | undefined {
    if (this.missed <= TOO_MANY) return undefined;
    return this.missedAlone > this.missed / 2 ? 'alone' : 'waited';
  }

  /** Hardly a frame misses its deadline. */
  get calm(): boolean {
    return this.missed <= FEW;
  }

  /** What the last frames did says nothing about the next: something has changed. */
  forget(): void {
    this.missed = 0;
    this.missedAlone = 0;
  }

  moveTo(step: number): void {
    this.at = step;
    this.forget();
  }
}
