import { EventEmitter } from 'node:events';
import type { StreamConfig } from '../config/schema.ts';
import { type AccessUnit, RENDITIONS, type Rendition } from '../contracts/media.ts';
import type { StreamDirectory } from '../contracts/publish.ts';
import type { RestorerEvent, SourceAddress, StreamReport } from '../contracts/restorer.ts';
import { STAGES, STREAM_STATES, type StreamStatus } from '../contracts/stream.ts';
import { now } from '../contracts/time.ts';
import { Deliveries } from '../telemetry/deliveries.ts';
import type { Logger } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { type Trace, Traces } from '../telemetry/trace.ts';
import type { RestorerPool } from './restorer-pool.ts';
import { Stream } from './stream.ts';

interface RegistryEvents {
  removed: [name: string];
  status: [status: StreamStatus];
}

export interface RegistryHost {
  restorer: RestorerPool;
  logger: Logger;
  metrics: Metrics;
  /** Where a stream's source is opened now; undefined while there is nothing to open. */
  open(name: string, config: StreamConfig): Promise<SourceAddress | undefined>;
  viewers(name: string): StreamStatus['viewers'];
}

/** All streams by name; routes what the restorer says to them and to the metrics. */
export class StreamRegistry extends EventEmitter<RegistryEvents> implements StreamDirectory {
  private readonly streams = new Map<string, Stream>();
  private readonly configs = new Map<string, StreamConfig>();
  /** Bytes published since the last report, which comes every second. */
  private readonly published = new Map<string, Map<Rendition, number>>();
  /** Frame timings of the last minute, for a look at single frames. */
  private readonly traces = new Traces();
  /** Where frames are after their encoding. */
  readonly deliveries: Deliveries;
  private readonly host: RegistryHost;

  constructor(host: RegistryHost) {
    super();
    this.setMaxListeners(0);
    this.host = host;
    this.deliveries = new Deliveries(host.metrics);
    const { restorer, metrics } = host;
    restorer.on('event', (event) => this.route(event));
    for (const { device } of restorer.members) {
      metrics.restorerUp.set({ device: String(device) }, 0);
      metrics.restorerModelsOpen.set({ device: String(device) }, 0);
      metrics.restorerRestarts.inc({ device: String(device) }, 0);
    }
    restorer.on('ready', (_facts, device, concerns) => {
      metrics.restorerUp.set({ device: String(device) }, 1);
      for (const stream of this.streams.values()) if (concerns(stream.name)) stream.restorerReady();
    });
    restorer.on('opened', (device) => metrics.restorerModelsOpen.set({ device: String(device) }, 1));
    restorer.on('down', (cause, device, streams) => {
      metrics.restorerUp.set({ device: String(device) }, 0);
      metrics.restorerModelsOpen.set({ device: String(device) }, 0);
      metrics.restorerRestarts.inc({ device: String(device) });
      for (const name of streams) this.streams.get(name)?.restorerDown(cause);
      this.resume(streams);
    });
    restorer.on('move', (name, cause) => this.streams.get(name)?.restorerChanged(cause));
    restorer.on('retired', (device, streams) => {
      metrics.restorerUp.remove({ device: String(device) });
      metrics.restorerModelsOpen.remove({ device: String(device) });
      metrics.restorerRestarts.remove({ device: String(device) });
      this.resume(streams);
    });
  }

  get(name: string): Stream | undefined {
    return this.streams.get(name);
  }

  list(): Stream[] {
    return [...this.streams.values()];
  }

  config(name: string): StreamConfig | undefined {
    return this.configs.get(name);
  }

  add(name: string, config: StreamConfig): Stream {
    const { restorer, logger } = this.host;
    this.configs.set(name, config);
    this.host.metrics.declare(name);
    const stream = new Stream(name, config, {
      restorer: restorer.of(name),
      logger,
      open: () => this.host.open(name, this.configs.get(name)!),
      viewers: () => this.host.viewers(name),
      changed: (status) => this.onStatus(status),
      reconnecting: () => this.host.metrics.sourceReconnects.inc({ stream: name }),
      lost: () => this.host.metrics.sourceLosses.inc({ stream: name }),
    });
    this.streams.set(name, stream);
    stream.wake('configured');
    return stream;
  }

  reconfigure(name: string, config: StreamConfig): void {
    this.configs.set(name, config);
    this.streams.get(name)?.reconfigure(config);
  }

  remove(name: string): void {
    const stream = this.streams.get(name);
    if (!stream) return;
    this.streams.delete(name);
    this.configs.delete(name);
    this.published.delete(name);
    stream.close();
    this.traces.forget(name);
    this.deliveries.forget(name);
    this.emit('removed', name);
    this.host.metrics.forget(name);
  }

  /** Stage timings of every frame of the last `seconds` (1 to 60). */
  trace(name: string, seconds: number): Trace {
    const at = now();
    return this.traces.take(name, seconds, at, this.deliveries.of(name, at - seconds * 1000));
  }

  close(): void {
    for (const name of [...this.streams.keys()]) this.remove(name);
  }

  /** Streams that lost their restorer go on in another at once, if there is one. */
  private resume(streams: string[]): void {
    if (this.host.restorer.ready) for (const name of streams) this.streams.get(name)?.restorerReady();
  }

  private route(event: Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' }>): void {
    if (event.t === 'snapshot') {
      for (const stream of this.streams.values()) stream.onSnapshot(event);
      return;
    }
    const stream = this.streams.get(event.t === 'report' ? event.report.stream : event.stream);
    if (!stream) return;
    if (event.t === 'report') this.observe(event.report);
    else if (event.t === 'unit') this.count(event.stream, event.unit);
    else if (event.t === 'live') this.host.metrics.sourceConnects.inc({ stream: event.stream });
    stream.onEvent(event);
    if (event.t === 'unit') this.deliveries.published(event.stream, event.unit, now());
  }

  private count(stream: string, { rendition, data }: AccessUnit): void {
    const bytes = this.published.get(stream) ?? new Map<Rendition, number>();
    this.published.set(stream, bytes.set(rendition, (bytes.get(rendition) ?? 0) + data.length));
  }

  private observe(report: StreamReport): void {
    const { metrics } = this.host;
    const { stream } = report;
    metrics.frames.inc({ stream, outcome: 'restored' }, report.restored);
    metrics.frames.inc({ stream, outcome: 'passthrough' }, report.passthrough);
    for (const [cause, count] of Object.entries(report.dropped)) {
      metrics.frames.inc({ stream, outcome: 'dropped' }, count);
      metrics.drops.inc({ stream, cause }, count);
    }
    for (const stage of STAGES) {
      // A frame that passed through was in neither of these.
      const skipped = stage === 'restore' || stage === 'smooth';
      for (const ms of report.stages[stage]) {
        if (ms > 0 || !skipped) metrics.stageDuration.observe({ stream, stage }, ms / 1000);
      }
    }
    for (const ms of report.captured ?? []) {
      if (ms !== null) metrics.stageDuration.observe({ stream, stage: 'capture' }, ms / 1000);
    }
    this.traces.add(report, now());
    metrics.observePicture(stream, report);
    for (const ms of report.total) metrics.frameLatency.observe({ stream }, ms / 1000);
    if (report.input?.bitrate !== undefined) metrics.sourceBitrate.set({ stream }, report.input.bitrate);
    for (const rendition of RENDITIONS) {
      const counts = this.published.get(stream);
      const bytes = counts?.get(rendition);
      if (bytes === undefined) continue;
      metrics.publishedBitrate.set({ stream, rendition }, bytes * 8);
      counts?.set(rendition, 0);
    }
    if (report.restoration) metrics.ladderStep.set({ stream }, report.restoration.step);
  }

  private onStatus(status: StreamStatus): void {
    const { metrics } = this.host;
    const { name: stream, state, onDemand, viewers } = status;
    const config = this.configs.get(stream);
    if (!this.streams.has(stream) || !config) return;
    const watched = !onDemand || state !== 'idle' || viewers.webrtc + viewers.hls > 0;
    metrics.streamWanted.set({ stream }, state !== 'disabled' && watched ? 1 : 0);
    metrics.restorationWanted.set({ stream }, config.model !== 'none' && config.strength > 0 ? 1 : 0);
    for (const state of STREAM_STATES)
      metrics.streamState.set({ stream, state }, state === status.state ? 1 : 0);
    if (state !== 'live' && state !== 'degraded') metrics.noPicture(stream);
    this.emit('status', status);
  }
}
