import type { Admission, Member } from './admission.ts';
import { ClimbWait } from './climb-wait.ts';
import type { Choice } from './working-height.ts';

/** So long, ms, another choice has to be the better one before a stream gets it: it changes once in so long at most. */
const HOLD = 180_000;
/** Share of that: restoration as wanted for less is a try that failed, and no end of the shortage. */
const RELIEF = 1 / 3;
/** Between two streams' changes: what one gave up lets others be restored, who need not give up anything then. */
const APART = 1 / 6;
/** Of more that did not last: how long it has to in order not to be in vain, and the longest wait after it, ms. */
const LASTED = 6 * 3_600_000;
const MOST = 24 * 3_600_000;

/** A stream whose pictures come. */
export interface Chooser extends Member {
  /** What it is restored as, where nothing is too late. */
  readonly choice: Choice;
  /** What would be chosen now. */
  choose(): Choice;
  /** Lines its pictures have with a choice: no more than the camera sends. */
  lines(choice: Choice): number;
  /** Share of the accelerator's time its frames take with a choice. */
  shareOf(choice: Choice): number;
  /** Is restored so from now on. */
  take(choice: Choice, why: string): void;
}

interface Case {
  /** Whether what would be chosen now is more (1) or less (-1) than there is; since when, and when it was last so. */
  side: -1 | 0 | 1;
  since: number;
  seen: number;
  readonly wait: ClimbWait;
}

/**
 * Chooses model and height of running streams again, when what their host must do or can do has changed for good:
 * cameras came or went, or it is slower or faster than it was. Overload is met within seconds, by lighter models and
 * frames that pass through (admission.ts); only a shortage that lasts costs lines. So no stream gets less than it has
 * while all are restored as wanted, and none gets more before there is room for it. One stream at a time.
 */
export class Rechoice {
  private readonly admission: Admission;
  private readonly hold: number;
  private readonly cases = new WeakMap<Chooser, Case>();
  private changedAt = Number.NEGATIVE_INFINITY;

  /** @param hold so long, ms, another choice has to be the better one */
  constructor(admission: Admission, hold = HOLD) {
    this.admission = admission;
    this.hold = hold;
  }

  /** To be called every second or so with the streams whose pictures come. */
  tick(choosers: readonly Chooser[], now: number): void {
    const due = choosers.filter((chooser) => this.isDue(chooser, choosers, now));
    // The strongest claim first: gets first, gives last.
    due.sort((a, b) => Number(b.watched) - Number(a.watched) || a.order - b.order);
    const next = due.findLast((chooser) => this.caseOf(chooser).side < 0) ?? due[0];
    if (!next || now - this.changedAt < this.hold * APART) return;
    const own = this.caseOf(next);
    if (own.side < 0) own.wait.fell(now);
    else own.wait.climbed(now);
    next.take(next.choose(), own.side < 0 ? 'the accelerator is too slow for all' : 'there is room for more');
    this.changedAt = now;
    own.side = 0;
  }

  private isDue(chooser: Chooser, all: readonly Chooser[], now: number): boolean {
    const own = this.caseOf(chooser);
    const side = this.side(chooser, all);
    const relieved = side === 0 && own.side < 0 && now - own.seen < this.hold * RELIEF;
    if (side !== own.side && !relieved) Object.assign(own, { side, since: now });
    if (side !== 0) own.seen = now;
    return side !== 0 && now - own.since >= this.hold && (side < 0 || own.wait.over(now));
  }

  private side(chooser: Chooser, all: readonly Chooser[]): Case['side'] {
    const { choice, ladder } = chooser;
    const other = chooser.choose();
    const more =
      chooser.lines(other) - chooser.lines(choice) || chooser.shareOf(other) - chooser.shareOf(choice);
    if (more < 0 && lacking(chooser, all)) return -1;
    const well = ladder.above === undefined && ladder.calm;
    return more > 0 && well && this.admission.hasRoom(chooser, chooser.shareOf(other)) ? 1 : 0;
  }

  private caseOf(chooser: Chooser): Case {
    let own = this.cases.get(chooser);
    if (!own) {
      own = {
        side: 0,
        since: 0,
        seen: 0,
        wait: new ClimbWait({ first: this.hold, most: MOST, lasted: LASTED }),
      };
      this.cases.set(chooser, own);
    }
    return own;
  }
}

/** Whether a stream, or another whose frames would be in time if it were alone, is restored less than was chosen. */
function lacking(chooser: Chooser, all: readonly Chooser[]): boolean {
  return all.some((other) => {
    const { above } = other.ladder;
    return above !== undefined && (other === chooser || !other.tooHeavy(above));
  });
}
