import type { StreamReport } from '../contracts/restorer.ts';
import { STAGES, type Stage } from '../contracts/stream.ts';
import { DELIVERY_STAGES, type Delivery, type DeliveryStage } from './deliveries.ts';

/** Timings older than this are let go, ms. */
const KEEP = 60_000;

type Timings = Pick<StreamReport, 'arrivals' | 'captured' | 'total' | 'stages' | 'restored'>;

/** One event of the Trace Event Format (Chrome, Perfetto); times in µs. */
interface TraceEvent {
  name: string;
  ph: 'X' | 'M';
  pid: number;
  tid: number;
  ts?: number;
  dur?: number;
  args?: Record<string, unknown>;
}

export interface Trace {
  displayTimeUnit: 'ms';
  /** Where time 0 is, ISO 8601, and what was traced. */
  otherData: { stream: string; begin: string; frames: number };
  traceEvents: TraceEvent[];
}

const PROCESS = 1;
/** A row of the picture per stage, and one for the whole frame above them. */
const ROWS = ['frame', 'capture', ...STAGES, ...DELIVERY_STAGES] as const;

/** The last minute of every stream's frame timings. */
export class Traces {
  private readonly recent = new Map<string, { at: number; timings: Timings }[]>();

  /** `at` in Unix ms. */
  add(report: StreamReport, at: number): void {
    const { stream, arrivals, captured, total, stages, restored } = report;
    const kept = (this.recent.get(stream) ?? []).filter((entry) => at - entry.at < KEEP);
    kept.push({ at, timings: { arrivals, ...(captured ? { captured } : {}), total, stages, restored } });
    this.recent.set(stream, kept);
  }

  forget(stream: string): void {
    this.recent.delete(stream);
  }

  /**
   * Every frame published in the last `seconds` (1 to 60) as a trace that chrome://tracing and ui.perfetto.dev open.
   * `now` in Unix ms; `deliveries`: what became of them after their encoding.
   */
  take(stream: string, seconds: number, now: number, deliveries: Delivery[] = []): Trace {
    const entries = (this.recent.get(stream) ?? []).filter((entry) => now - entry.at <= seconds * 1000);
    const begin = Math.min(
      now,
      ...entries.flatMap(({ timings: { arrivals, captured } }) =>
        arrivals.slice(0, 1).map((arrival) => arrival - (captured?.[0] ?? 0)),
      ),
    );
    const frames = entries.flatMap(({ timings }) =>
      timings.arrivals.map((arrival, index) => frameEvents(timings, index, (arrival - begin) * 1000)),
    );
    return {
      displayTimeUnit: 'ms',
      otherData: { stream, begin: new Date(begin).toISOString(), frames: frames.length },
      traceEvents: [
        ...rowNames(stream),
        ...frames.flat(),
        ...deliveries
          .filter(({ encoded }) => encoded >= begin)
          .flatMap((delivery) => deliveryEvents(delivery, begin)),
      ],
    };
  }
}

function rowNames(stream: string): TraceEvent[] {
  const named = (name: string, tid: number, args: Record<string, unknown>): TraceEvent => ({
    name,
    ph: 'M',
    pid: PROCESS,
    tid,
    args,
  });
  return [
    named('process_name', 0, { name: `stream ${stream}` }),
    ...ROWS.flatMap((row, tid) => [
      named('thread_name', tid, { name: row }),
      named('thread_sort_index', tid, { sort_index: tid }),
    ]),
  ];
}

/** One box in a row of the picture; times in µs. */
function slice(
  name: string,
  row: (typeof ROWS)[number],
  ts: number,
  dur: number,
  args?: Record<string, unknown>,
): TraceEvent {
  return {
    name,
    ph: 'X',
    pid: PROCESS,
    tid: ROWS.indexOf(row),
    ts: Math.round(ts),
    dur: Math.round(dur),
    ...(args ? { args } : {}),
  };
}

/** Stages follow one another from the arrival on, but encoding, which ends with the frame: a wait may come before it. */
function frameEvents({ stages, total, captured }: Timings, index: number, arrival: number): TraceEvent[] {
  const duration = (stage: Stage) => (stages[stage][index] ?? 0) * 1000;
  const whole = (total[index] ?? 0) * 1000;
  const outcome = duration('restore') > 0 ? 'restored' : 'passthrough';
  const events = [slice(outcome, 'frame', arrival, whole, { latency_ms: Math.round(whole / 10) / 100 })];
  const before = (captured?.[index] ?? 0) * 1000;
  if (before > 0) events.push(slice('capture', 'capture', arrival - before, before));
  let at = arrival;
  for (const stage of STAGES) {
    const took = duration(stage);
    if (stage === 'encode') at = Math.max(at, arrival + whole - took);
    if (took > 0) events.push(slice(stage, stage, at, took));
    at += took;
  }
  return events;
}

/** From the encoder to the screens, `begin` in Unix ms. */
function deliveryEvents(delivery: Delivery, begin: number): TraceEvent[] {
  const { encoded, published, sent, webrtc, hls } = delivery;
  const spans: [DeliveryStage, number, number | undefined][] = [
    ['publish', encoded, published],
    ['packetise', published, sent],
    ['display', sent ?? published, webrtc],
    ['display-hls', published, hls],
  ];
  return spans.flatMap(([stage, from, to]) =>
    to === undefined ? [] : [slice(stage, stage, (from - begin) * 1000, Math.max(0, to - from) * 1000)],
  );
}
