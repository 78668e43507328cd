import { ClimbWait } from './climb-wait.ts';
import type { Ladder } from './ladder.ts';

/** Share of an accelerator's time that streams may fill; the rest is for its bad moments. */
export const ROOM = 0.75;
/** What one step changed must show before the next, ms. */
const SETTLE = 4000;

/** A stream that wants to be restored. */
export interface Member {
  /** Less than that of a stream that came later. */
  readonly order: number;
  readonly ladder: Ladder;
  /** Somebody sees what restoration makes of it. */
  readonly watched: boolean;
  /** Share of the accelerator's time that its frames take on a model, 0..1 and more; 0 for `none`. */
  share(model: string): number;
  /** Whether its frames would be late on a model even if it had the accelerator to itself. */
  tooHeavy(model: string): boolean;
  /** It was moved from this model to the one its ladder is on now. */
  moved(from: string, why: string): void;
}

/**
 * Who is restored on an accelerator that cannot restore everybody. A stream that is restored stays so, and one that is
 * not waits until there is room. Where frames of a stream miss their deadline in numbers because of the others, one
 * stream gives way: one that nobody watches, the one that came last. Room goes to those that are watched and came first;
 * a stream that is watched and not restored takes the place of one that is restored and not watched. One step at a
 * time, since overload hits all of them at once: if all gave way and came back together, none would be restored for long.
 */
export class Admission {
  private readonly load: () => number;
  /** With what each waits for after trouble of its own. */
  private readonly members = new Map<Member, ClimbWait>();
  private readonly wait = new ClimbWait();
  private changedAt = Number.NEGATIVE_INFINITY;

  /** @param load share of its time the accelerator is busy, 0..1 */
  constructor(load: () => number) {
    this.load = load;
  }

  /** Streams that want to be restored here. */
  get size(): number {
    return this.members.size;
  }

  /** Streams that are. */
  get restored(): number {
    return this.all.filter(({ ladder }) => ladder.restores).length;
  }

  /** A stream begins, or its picture or its model changes: it takes the heaviest step there is room for. */
  place(member: Member): void {
    const { ladder } = member;
    if (!this.members.has(member)) this.members.set(member, new ClimbWait());
    const free = ROOM - this.used(member);
    const fits = (model: string) => !member.tooHeavy(model) && member.share(model) <= free;
    const step = this.alone(member) ? 0 : ladder.steps.findIndex(fits);
    ladder.moveTo(step === -1 ? ladder.steps.length - 1 : step);
    if (ladder.above) this.takePlace(member);
  }

  /** A stream's pictures are smaller from now on: what made climbs vain may not do so any more. */
  ease(member: Member, now: number): void {
    member.ladder.forget();
    this.wait.reset(now);
  }

  /** Whether a stream could take such a share of the accelerator instead of its own. */
  hasRoom(member: Member, share: number): boolean {
    return this.alone(member) || share <= ROOM - this.used(member);
  }

  /** A stream has no picture any more. Its room is kept for a moment: cameras come back. */
  leave(member: Member, now: number): void {
    if (this.members.delete(member) && member.ladder.restores) this.wait.reset(now);
  }

  /** To be called every second or so; moves one stream, or two that change places. */
  tick(now: number): void {
    for (const member of this.all) if (this.lateByItself(member)) this.relieve(member, now);
    if (now - this.changedAt < SETTLE) return;
    const moved = this.all.some(({ ladder }) => ladder.late) ? this.shed(now) : this.admit(now);
    if (!moved) return;
    this.changedAt = now;
    for (const { ladder } of this.all) ladder.forget();
  }

  /** Overload makes frames of all streams late; where those of the others are in time, they are not in the way. */
  private lateByItself(member: Member): boolean {
    const { late } = member.ladder;
    const others = this.all.filter((other) => other !== member && other.ladder.restores);
    return late === 'alone' || (late === 'waited' && others.every(({ ladder }) => ladder.calm));
  }

  private relieve(member: Member, now: number): void {
    const { ladder } = member;
    const lighter = ladder.steps.findIndex((model, at) => at > ladder.step && !member.tooHeavy(model));
    this.members.get(member)!.fell(now);
    // Where it was the only one, another would fare no better.
    if (this.alone(member)) this.wait.fell(now);
    this.move(
      member,
      lighter === -1 ? ladder.steps.length - 1 : lighter,
      'its frames are late by themselves',
    );
  }

  private shed(now: number): boolean {
    const [last] = this.givingWay;
    if (!last) return false;
    this.wait.fell(now);
    this.move(last, last.ladder.step + 1, 'the accelerator is overloaded');
    return true;
  }

  private admit(now: number): boolean {
    const climbers = this.climbing.filter(
      (member) =>
        this.members.get(member)!.over(now) && (!member.tooHeavy(member.ladder.above!) || this.alone(member)),
    );
    const free = ROOM - this.used();
    const need = (member: Member) => member.share(member.ladder.above!) - member.share(member.ladder.model);
    const fits = climbers.find((member) => this.alone(member) || need(member) <= free);
    if (fits && this.wait.over(now) && this.all.every(({ ladder }) => ladder.calm)) {
      this.wait.climbed(now);
      this.members.get(fits)!.climbed(now);
      this.move(fits, fits.ladder.step - 1, 'there is room');
      return true;
    }
    const [climber] = climbers;
    if (!climber || !this.takePlace(climber)) return false;
    this.members.get(climber)!.climbed(now);
    return true;
  }

  /** A stream that is watched takes the place of one that is not. */
  private takePlace(member: Member): boolean {
    const [other] = this.givingWay;
    if (!member.watched || !other || other.watched) return false;
    this.move(other, other.ladder.step + 1, 'it gives way to a stream that is watched');
    this.move(member, member.ladder.step - 1, 'it is watched');
    return true;
  }

  private move(member: Member, step: number, why: string): void {
    const from = member.ladder.model;
    member.ladder.moveTo(step);
    member.moved(from, why);
  }

  private get all(): Member[] {
    return [...this.members.keys()].sort((a, b) => a.order - b.order);
  }

  /** Restored streams, who gives way first: unwatched before watched, heavy before light, last before first. */
  private get givingWay(): Member[] {
    return this.all
      .filter(({ ladder }) => ladder.restores)
      .reverse()
      .sort((a, b) => Number(a.watched) - Number(b.watched) || a.ladder.step - b.ladder.step);
  }

  /** Streams below their wish, who climbs first: the other way round. */
  private get climbing(): Member[] {
    return this.all
      .filter(({ ladder }) => ladder.above !== undefined)
      .sort((a, b) => Number(b.watched) - Number(a.watched) || b.ladder.step - a.ladder.step);
  }

  private alone(member: Member): boolean {
    return !this.all.some((other) => other !== member && other.ladder.restores);
  }

  /** Share of the accelerator that is taken: as expected or as measured, whichever is more; without one stream's. */
  private used(without?: Member): number {
    const expected = this.all.reduce((sum, member) => sum + member.share(member.ladder.model), 0);
    return Math.max(expected, this.load()) - (without ? without.share(without.ladder.model) : 0);
  }
}
