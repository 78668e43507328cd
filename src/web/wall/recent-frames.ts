import type { StreamStatus } from '../../contracts/stream.ts';

type Frames = StreamStatus['frames'];

const WINDOW_MS = 60_000;

/** What became of the frames of the last minute: totals of a month hide that nothing is restored now. */
export class RecentFrames {
  #totals: { at: number; frames: Frames }[] = [];

  /** Takes a stream's totals as they stand at `at`, ms of any steady clock. */
  add(frames: Frames, at: number): void {
    const last = this.#totals.at(-1)?.frames;
    if (last === frames) return;
    // A stream that was removed and added again counts from nothing.
    if (last && sum(frames) < sum(last)) this.#totals = [];
    this.#totals.push({ at, frames });
    while (this.#totals.length > 2 && at - this.#totals[0]!.at > WINDOW_MS) this.#totals.shift();
  }

  /** Frames by outcome since the first totals of the window; none before the second ones. */
  get frames(): Frames {
    const [first, last] = [this.#totals[0]?.frames, this.#totals.at(-1)?.frames];
    if (!first || !last) return { restored: 0, passthrough: 0, dropped: 0 };
    return {
      restored: last.restored - first.restored,
      passthrough: last.passthrough - first.passthrough,
      dropped: last.dropped - first.dropped,
    };
  }
}

const sum = ({ restored, passthrough, dropped }: Frames): number => restored + passthrough + dropped;
