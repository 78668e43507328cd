import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { StreamReport } from '../contracts/restorer.ts';
import { DROP_CAUSES, OUTCOMES } from '../contracts/stream.ts';
import type { AcceleratorReading } from './accelerator.ts';

/** Seconds. 10 ms to 5 s, finer where a live picture lives; the alert rules' objectives are bounds of these. */
const LATENCY_BUCKETS = [
  0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.12, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5,
];
/** Seconds. One stage is shorter than the whole and there are several a stream, so fewer and lower bounds. */
const STAGE_BUCKETS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.06, 0.1, 0.15, 0.3, 0.6, 1, 2, 5];

/** Seconds. From a clip of a second to a day of footage on a slow host. */
const JOB_BUCKETS = [1, 3, 10, 30, 60, 180, 600, 1800, 3600, 10_800, 36_000, 86_400];

/** The event loop's lag is looked at this often, ms: each look wakes the process up. */
const LAG_PRECISION = 50;

/** Which side of the restoration a picture figure was measured on. */
const SIDES = ['before', 'after'] as const;

/** What every metric of prom-client holds, and its types leave out; `get()` would write out every bucket. */
interface Series {
  hashMap: Record<string, { labels: Record<string, string> }>;
  remove(labels: Record<string, string>): void;
}

/** Every metric of the gateway, named as in DESIGN.md. One instance a process; tests make their own. */
export class Metrics {
  readonly registry = new Registry();

  readonly stageDuration = this.histogram(
    'stage_duration_seconds',
    'Time one frame spends in a stage: capture = taken to arrived, where the camera says (RTSP); decode, queue, restore, smooth, encode; publish = from the encoder to HLS and the WebRTC threads; packetise = there; display = from there to a WebRTC player’s screen; display-hls = from publish to an HLS player’s',
    ['stream', 'stage'],
    STAGE_BUCKETS,
  );
  readonly frameLatency = this.histogram('frame_latency_seconds', 'Arrival of a frame to its access unit', [
    'stream',
  ]);
  readonly viewerLatency = this.histogram(
    'viewer_latency_seconds',
    'What players report: a frame’s display (webrtc, hls) since its capture where the camera’s clock is known, since its arrival elsewhere: basis says which',
    ['stream', 'protocol', 'basis'],
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
  readonly streamWanted = this.gauge(
    'stream_wanted',
    '1 while the stream should show a picture: enabled and, if on demand, watched',
    ['stream'],
  );
  readonly unchanged = this.gauge(
    'picture_unchanged_seconds',
    'How long frames have been arriving with the same content; 0 while it changes',
    ['stream'],
  );
  readonly noise = this.gauge(
    'picture_noise_levels',
    'Estimated noise, standard deviation of luma in 8-bit levels, before and after restoration; sampled',
    ['stream', 'side'],
  );
  readonly blockiness = this.gauge(
    'picture_blockiness_levels',
    'Luma step at 8x8 block edges beyond that beside them, 8-bit levels, before and after restoration; sampled',
    ['stream', 'side'],
  );
  readonly flicker = this.gauge(
    'picture_flicker_levels',
    'Luma change from frame to frame where nothing moves, 8-bit levels, before and after restoration; sampled',
    ['stream', 'side'],
  );
  readonly viewers = this.gauge('viewers', 'People watching now', ['stream', 'protocol']);
  readonly sourceReconnects = this.counter('source_reconnects_total', 'Connection attempts after the first', [
    'stream',
  ]);
  readonly sourceConnects = this.counter(
    'source_connects_total',
    'Times the source was connected and showed a picture',
    ['stream'],
  );
  readonly sourceLosses = this.counter(
    'source_losses_total',
    'Times a picture that was there was lost: the source ended, stalled or failed',
    ['stream'],
  );
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
  readonly restorationWanted = this.gauge(
    'restoration_wanted',
    '1 while the configuration asks for restoration (model not none, strength above 0)',
    ['stream'],
  );
  readonly restorerRestarts = this.counter(
    'restorer_restarts_total',
    'Times a restorer process was restarted, by the number of its accelerator',
    ['device'],
  );
  readonly restorerUp = this.gauge(
    'restorer_up',
    '1 while the restorer process takes streams, by the number of its accelerator',
    ['device'],
  );
  readonly restorerModelsOpen = this.gauge(
    'restorer_models_open',
    '1 while the models are open: before, a restarted restorer passes frames through; by the number of its accelerator',
    ['device'],
  );
  readonly acceleratorUtilization = this.gauge(
    'accelerator_utilization_ratio',
    'Share of time the accelerator computes, 0 to 1; device cpu = share of all cores the restorer processes use',
    ['device'],
  );
  readonly acceleratorMemory = this.gauge(
    'accelerator_memory_used_bytes',
    'Accelerator memory in use; device cpu = resident memory of the restorer processes',
    ['device'],
  );
  readonly acceleratorMemoryTotal = this.gauge(
    'accelerator_memory_total_bytes',
    'Accelerator memory there is; device cpu = what the host or the container allows',
    ['device'],
  );
  readonly acceleratorTemperature = this.gauge(
    'accelerator_temperature_celsius',
    'Temperature of the GPU, degrees Celsius',
    ['device'],
  );
  readonly acceleratorPower = this.gauge('accelerator_power_watts', 'Power the GPU draws, watts', ['device']);
  readonly acceleratorEncoder = this.gauge(
    'accelerator_encoder_utilization_ratio',
    "Share of time the GPU's video encoder is busy, 0 to 1; absent where the driver does not say",
    ['device'],
  );
  readonly acceleratorDecoder = this.gauge(
    'accelerator_decoder_utilization_ratio',
    "Share of time the GPU's video decoder is busy, 0 to 1; absent where the driver does not say",
    ['device'],
  );
  readonly diskFree = this.gauge('disk_free_bytes', 'Space left where the gateway writes', ['directory']);
  readonly diskSize = this.gauge('disk_size_bytes', 'Size of the file system the gateway writes to', [
    'directory',
  ]);
  readonly certificateEnd = this.gauge(
    'certificate_not_after_timestamp_seconds',
    'Unix time at which the TLS certificate ends; absent without TLS',
    [],
  );
  readonly configValid = this.gauge(
    'config_valid',
    '1 while the configuration file can be used; 0 while it has an error or is gone: an earlier one runs on, and the next start would fail',
    [],
  );
  readonly httpDuration = this.histogram('http_request_duration_seconds', 'Time to answer an HTTP request', [
    'method',
    'route',
    'status',
  ]);
  readonly jobs = this.gauge(
    'jobs',
    'Files to restore by state: queued, running, and those kept: done, failed, cancelled; gateways that share a queue all say the same',
    ['state'],
  );
  readonly jobRequests = this.counter(
    'job_requests_total',
    'Requests to restore a file: created = a new job, joined = the same is on its way, cached = answered from a kept result, refused',
    ['outcome'],
  );
  readonly jobAttempts = this.counter(
    'job_attempts_total',
    'Attempts at restoring a file on this gateway by how they ended: done, failed; what was cancelled counts as neither',
    ['outcome'],
  );
  readonly jobWait = this.histogram(
    'job_wait_seconds',
    'Time a file waited before its restoration began',
    [],
    JOB_BUCKETS,
  );
  readonly jobDuration = this.histogram(
    'job_duration_seconds',
    'Time the restoration of a file took here, its last attempt',
    [],
    JOB_BUCKETS,
  );
  readonly jobFrames = this.counter('job_frames_total', 'Frames of files restored here', []);
  readonly webrtcPacketsLost = this.counter(
    'webrtc_packets_lost_total',
    'RTP packets viewers reported lost',
    ['stream'],
  );

  constructor() {
    // A metric without labels starts at 0, which would be a certificate that ended in 1970.
    this.certificateEnd.remove();
  }

  /** Adds this process's own: CPU, memory, event-loop lag, garbage collection (`process_*`, `nodejs_*`). */
  collectProcess(): void {
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: LAG_PRECISION });
  }

  /** Gives a new stream's counts their zero, so that the first event already counts as an increase. */
  declare(stream: string): void {
    for (const outcome of OUTCOMES) this.frames.inc({ stream, outcome }, 0);
    for (const cause of DROP_CAUSES) this.drops.inc({ stream, cause }, 0);
    this.sourceReconnects.inc({ stream }, 0);
    this.sourceConnects.inc({ stream }, 0);
    this.sourceLosses.inc({ stream }, 0);
    for (const protocol of ['webrtc', 'hls']) this.viewers.set({ stream, protocol }, 0);
  }

  /** What a report says of the picture itself. */
  observePicture(stream: string, { unchanged, quality }: Pick<StreamReport, 'unchanged' | 'quality'>): void {
    this.unchanged.set({ stream }, unchanged);
    if (!quality) return;
    for (const side of SIDES) {
      this.noise.set({ stream, side }, quality[side].noise);
      this.blockiness.set({ stream, side }, quality[side].blockiness);
      this.flicker.set({ stream, side }, quality[side].flicker);
    }
  }

  /** What the accelerators do now; what does not answer any more must not look busy for ever. */
  observeAccelerators(readings: AcceleratorReading[]): void {
    const gauges = {
      utilization: this.acceleratorUtilization,
      used: this.acceleratorMemory,
      total: this.acceleratorMemoryTotal,
      temperature: this.acceleratorTemperature,
      power: this.acceleratorPower,
      encoder: this.acceleratorEncoder,
      decoder: this.acceleratorDecoder,
    };
    for (const [figure, gauge] of Object.entries(gauges) as [keyof typeof gauges, Gauge<'device'>][]) {
      gauge.reset();
      for (const reading of readings) {
        const value = reading[figure];
        if (value !== undefined) gauge.set({ device: reading.device }, value);
      }
    }
  }

  /** A stream shows no picture: what was measured on its last ones must not seem to be so still. */
  noPicture(stream: string): void {
    const { unchanged, noise, blockiness, flicker, sourceBitrate, publishedBitrate, ladderStep } = this;
    drop([unchanged, noise, blockiness, flicker, sourceBitrate, publishedBitrate, ladderStep], stream);
  }

  /** Drops every series of a removed stream, at once: its successor may be there in a moment. */
  forget(stream: string): void {
    drop(this.registry.getMetricsAsArray(), stream);
  }

  private histogram<L extends string>(
    name: string,
    help: string,
    labelNames: L[],
    buckets = LATENCY_BUCKETS,
  ): Histogram<L> {
    return new Histogram({
      name: `clearway_${name}`,
      help,
      labelNames,
      buckets,
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

function drop(metrics: readonly unknown[], stream: string): void {
  for (const metric of metrics as Series[]) {
    for (const { labels } of Object.values(metric.hashMap))
      if (labels.stream === stream) metric.remove(labels);
  }
}
