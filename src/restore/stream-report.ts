import type { StreamReport } from '../contracts/restorer.ts';
import type {
  DropCause,
  LatencySummary,
  Outcome,
  RestorationInfo,
  SourceInfo,
  Stage,
} from '../contracts/stream.ts';

/** Frames the latency quantiles are taken over. */
const QUANTILE_FRAMES = 250;

const FIGURES = ['decode', 'queue', 'restore', 'smooth', 'encode', 'total'] as const;
type Figure = Stage | 'total';

/** Collects one stream's figures and gives them out once a second. */
export class Reporter {
  private counts = { restored: 0, passthrough: 0 };
  private dropped: Partial<Record<DropCause, number>> = {};
  private samples = new Map<Figure, number[]>(FIGURES.map((figure) => [figure, []]));
  private readonly recent = new Map<Figure, number[]>(FIGURES.map((figure) => [figure, []]));
  private arrivals: number[] = [];
  private captured: (number | null)[] = [];
  private since: number;
  private bytes = 0;
  private frames = 0;
  /** Frames per second and bits per second that arrived, over the last report. */
  fps = 0;
  bitrate = 0;

  constructor(now: number) {
    this.since = now;
  }

  /** @param captured ms from the frame's capture to its arrival, where that is known */
  published(
    outcome: Exclude<Outcome, 'dropped'>,
    timings: Record<Figure, number>,
    arrival: number,
    captured: number | undefined,
  ): void {
    this.counts[outcome]++;
    this.arrivals.push(arrival);
    this.captured.push(captured ?? null);
    for (const figure of FIGURES) {
      this.samples.get(figure)!.push(timings[figure]);
      const recent = this.recent.get(figure)!;
      recent.push(timings[figure]);
      if (recent.length > QUANTILE_FRAMES) recent.shift();
    }
  }

  drop(cause: DropCause): void {
    this.dropped[cause] = (this.dropped[cause] ?? 0) + 1;
  }

  arrived(bytes: number): void {
    this.bytes += bytes;
    this.frames++;
  }

  take(
    stream: string,
    now: number,
    input: SourceInfo | undefined,
    restoration: RestorationInfo | undefined,
  ): Omit<StreamReport, 'unchanged' | 'quality'> {
    const seconds = Math.max(0.001, (now - this.since) / 1000);
    this.fps = this.frames / seconds;
    this.bitrate = Math.round((this.bytes * 8) / seconds);
    const { restored, passthrough } = this.counts;
    const { total, ...stages } = Object.fromEntries(this.samples) as Record<Figure, number[]>;
    const report = {
      stream,
      restored,
      passthrough,
      dropped: this.dropped,
      fps: (restored + passthrough) / seconds,
      stages,
      total,
      arrivals: this.arrivals,
      captured: this.captured,
      latency: Object.fromEntries(FIGURES.map((figure) => [figure, summary(this.recent.get(figure)!)])),
      ...(input ? { input: { ...input, fps: this.fps, bitrate: this.bitrate } } : {}),
      ...(restoration ? { restoration } : {}),
    };
    this.counts = { restored: 0, passthrough: 0 };
    this.dropped = {};
    this.samples = new Map(FIGURES.map((figure) => [figure, []]));
    this.arrivals = [];
    this.captured = [];
    this.since = now;
    this.bytes = 0;
    this.frames = 0;
    return report;
  }
}

function summary(samples: number[]): LatencySummary {
  const sorted = Float64Array.from(samples).sort();
  const at = (q: number) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;
  return { p50: at(0.5), p95: at(0.95), max: sorted.at(-1) ?? 0 };
}
