import type { StreamReport } from '../contracts/restorer.ts';

/** Share of an accelerator's time that a stream moved to it may fill it to; the rest is for its bad moments. */
const ROOM = 0.75;
/** Reports (seconds) in a row in which a stream runs lighter than wanted before it is moved. */
const PATIENCE = 5;
/** A stream that was moved stays for so long, ms: a move costs its viewers a keyframe and its model the past. */
const STAY = 60_000;

interface Placed {
  /** Share of the accelerator's time it takes, 0..1, smoothed over some seconds; undefined until it reported. */
  cost: number | undefined;
  /** The most it ever took: what it would take again if it were not on a lower step. */
  peak: number;
  /** Reports in a row on a lower step than wanted. */
  degraded: number;
  since: number;
}

/** What is known of the streams on one accelerator. */
export class Occupancy {
  private readonly streams = new Map<string, Placed>();

  get names(): string[] {
    return [...this.streams.keys()];
  }

  has(stream: string): boolean {
    return this.streams.has(stream);
  }

  add(stream: string, now: number): void {
    this.streams.set(stream, { cost: undefined, peak: 0, degraded: 0, since: now });
  }

  delete(stream: string): boolean {
    return this.streams.delete(stream);
  }

  clear(): void {
    this.streams.clear();
  }

  observe({ stream, stages, restoration }: StreamReport): void {
    const placed = this.streams.get(stream);
    if (!placed) return;
    // A report is of one second.
    const busy = [...stages.restore, ...stages.smooth].reduce((sum, ms) => sum + ms, 0) / 1000;
    placed.cost = placed.cost === undefined ? busy : (placed.cost + busy) / 2;
    placed.peak = Math.max(placed.peak, placed.cost);
    placed.degraded = restoration && restoration.step > 0 ? placed.degraded + 1 : 0;
  }

  /** Share of the accelerator's time its streams take, 0..1 and more; one that has not reported is taken as the mean. */
  get load(): number {
    const known = [...this.streams.values()].flatMap(({ cost }) => cost ?? []);
    const sum = known.reduce((total, cost) => total + cost, 0);
    return known.length === 0 ? 0 : (sum / known.length) * this.streams.size;
  }

  /** A stream that would gain by leaving for `other`, which has room for it. */
  movable(other: Occupancy, now: number): string | undefined {
    if (other.streams.size >= this.streams.size) return undefined;
    return this.names.find((name) => {
      const { degraded, peak, since } = this.streams.get(name)!;
      return degraded >= PATIENCE && now - since >= STAY && other.load + peak <= ROOM;
    });
  }

  /** Orders by what is free: less load first, then fewer streams. */
  static compare(a: Occupancy, b: Occupancy): number {
    const byLoad = a.load - b.load;
    // Loads are measured: what differs by a hundredth is the same.
    return Math.abs(byLoad) > 0.01 && a.streams.size > 0 && b.streams.size > 0
      ? byLoad
      : a.streams.size - b.streams.size;
  }
}
