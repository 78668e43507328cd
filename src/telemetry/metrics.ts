import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** 10 ms to 5 s, finer where a live picture lives. */
const LATENCY_BUCKETS = [0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 1, 2, 5];

interface Series {
  get(): Promise<{ values: { labels: Record<string, string> }[] }>;
  remove(labels: Record<string, string>): void;
}

/** Every metric of the gateway, named as in DESIGN.md. One instance a process; tests make their own. */
export class Metrics {
  readonly registry = new Registry();

  readonly stageDuration = this.histogram('stage_duration_seconds', 'Time one frame spends in a stage', [
    'stream',
    'stage',
  ]);
  readonly frameLatency = this.histogram('frame_latency_seconds', 'Arrival of a frame to its access unit', [
    'stream',
  ]);
  readonly viewerLatency = this.histogram(
    'viewer_latency_seconds',
    'What players report: arrival (or capture) to glass',
    ['stream', 'protocol'],
  );
  readonly frames = this.counter('frames_total', 'Frames by outcome: restored, passthrough, dropped', [
    'stream',
    'outcome',
  ]);
  readonly drops = this.counter('drops_total', 'Dropped frames by cause', ['stream', 'cause']);
  readonly streamState = this.gauge('stream_state', '1 for the state the stream is in, 0 for the others', [
    'stream',
    'state',
  ]);
  readonly viewers = this.gauge('viewers', 'People watching now', ['stream', 'protocol']);
  readonly sourceReconnects = this.counter('source_reconnects_total', 'Connection attempts after the first', [
    'stream',
  ]);
  readonly sourceBitrate = this.gauge('source_bitrate_bits_per_second', 'Video bitrate of the camera', [
    'stream',
  ]);
  readonly publishedBitrate = this.gauge(
    'published_bitrate_bits_per_second',
    'Bitrate of a published rendition',
    ['stream', 'rendition'],
  );
  readonly ladderStep = this.gauge('restoration_step', 'Position on the restoration ladder, 0 = as wanted', [
    'stream',
  ]);
  readonly restorerRestarts = this.counter(
    'restorer_restarts_total',
    'Times the restorer process was restarted',
    [],
  );
  readonly restorerUp = this.gauge('restorer_up', '1 while the restorer process answers', []);
  readonly acceleratorUtilization = this.gauge(
    'accelerator_utilization_ratio',
    'Share of time the accelerator computes',
    ['device'],
  );
  readonly acceleratorMemory = this.gauge('accelerator_memory_used_bytes', 'Accelerator memory in use', [
    'device',
  ]);
  readonly httpDuration = this.histogram('http_request_duration_seconds', 'Time to answer an HTTP request', [
    'method',
    'route',
    'status',
  ]);
  readonly webrtcPacketsLost = this.counter(
    'webrtc_packets_lost_total',
    'RTP packets viewers reported lost',
    ['stream'],
  );

  /** Adds this process's own: CPU, memory, event-loop lag, garbage collection (`process_*`, `nodejs_*`). */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Drops every series of a removed stream. */
  async forget(stream: string): Promise<void> {
    for (const metric of this.registry.getMetricsAsArray() as unknown as Series[]) {
      for (const { labels } of (await metric.get()).values) {
        const { le, ...own } = labels;
        if (own.stream === stream) metric.remove(own);
      }
    }
  }

  private histogram<L extends string>(name: string, help: string, labelNames: L[]): Histogram<L> {
    return new Histogram({
      name: `clearway_${name}`,
      help,
      labelNames,
      buckets: LATENCY_BUCKETS,
      registers: [this.registry],
    });
  }
  private counter<L extends string>(name: string, help: string, labelNames: L[]): Counter<L> {
    return new Counter({ name: `clearway_${name}`, help, labelNames, registers: [this.registry] });
  }
  private gauge<L extends string>(name: string, help: string, labelNames: L[]): Gauge<L> {
    return new Gauge({ name: `clearway_${name}`, help, labelNames, registers: [this.registry] });
  }
}
