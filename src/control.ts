import { assertBindAllowed } from './config/bind.ts';
import { type StreamConfig, type StreamPatch, streamSchema } from './config/schema.ts';
import type { ConfigStore } from './config/store.ts';
import type { Control, ModelInfo, RtmpInfo } from './contracts/control.ts';
import { ClearwayError } from './contracts/errors.ts';
import { CLOCK_RATE } from './contracts/media.ts';
import type { StreamStatus } from './contracts/stream.ts';
import { resolveSource } from './ingest/sources.ts';
import { requireStream } from './publish/request.ts';
import type { StreamRegistry } from './streams/registry.ts';
import type { RestorerPool } from './streams/restorer-pool.ts';
import type { Metrics } from './telemetry/metrics.ts';
import { redact } from './telemetry/redact.ts';

const TICKS_PER_MS = CLOCK_RATE / 1000;

export interface ControlParts {
  store: ConfigStore;
  streams: StreamRegistry;
  restorer: RestorerPool;
  metrics: Metrics;
  /** Changes a stream that is not in the file. */
  reconfigure(name: string, config: StreamConfig): void;
  rtmp(): RtmpInfo;
}

/** What the API may do with the gateway: streams in the file are changed in the file, others in memory. */
export function createControl(parts: ControlParts): Control {
  const { store, streams, restorer, metrics, reconfigure, rtmp } = parts;
  /** Streams that are being added: of two requests for one name, one is late. */
  const adding = new Set<string>();
  const status = (name: string): StreamStatus => requireStream(streams, name).status;
  const checkModel = (model: string | null | undefined): void => {
    if (model === undefined || model === null || model === 'auto' || model === 'none' || !restorer.ready)
      return;
    const found = restorer.ready.models.find(({ name, kind }) => name === model && kind === 'restorer');
    if (!found) {
      throw new ClearwayError(
        'CLEARWAY_MODEL_NOT_FOUND',
        `There is no model ${model}; GET /api/v1/models lists them.`,
        { status: 400 },
      );
    }
    if (found.error) throw new ClearwayError('CLEARWAY_MODEL_INVALID', found.error, { status: 400 });
  };
  return {
    list: () => streams.list().map((stream) => stream.status),
    get: (name) => streams.get(name)?.status,
    settings: (name) => {
      const config = streams.config(name);
      return config && { ...config, source: redact(config.source) };
    },
    async create(name, input) {
      if (streams.get(name) || adding.has(name)) {
        throw new ClearwayError(
          'CLEARWAY_STREAM_EXISTS',
          `There is a stream ${name} already: choose another name, or change that one (PATCH).`,
          {
            status: 409,
          },
        );
      }
      adding.add(name);
      try {
        await resolveSource(input.source, 'api');
        checkModel(input.model);
        await store.setStream(name, { ...input, origin: 'api' });
      } finally {
        adding.delete(name);
      }
      return status(name);
    },
    async update(name, patch) {
      const { source, ...others } = patch;
      if (typeof source === 'string') await resolveSource(source, 'api');
      checkModel(patch.model);
      // It may be gone by now.
      status(name);
      const config = streams.config(name)!;
      // The source that it has is not written again: when its turn comes the file may have another, or none.
      const chosen = source !== undefined && source !== config.source;
      const change: StreamPatch = chosen ? { ...patch, origin: 'api' } : others;
      if (store.current.streams[name]) await store.setStream(name, change);
      else {
        const next = merged(config, change, store.resolveStream({ source: config.source }));
        assertBindAllowed({ ...store.current, streams: { [name]: next } });
        reconfigure(name, next);
      }
      return status(name);
    },
    async remove(name) {
      status(name);
      if (store.current.streams[name]) await store.removeStream(name);
      else streams.remove(name);
    },
    models: (): ModelInfo[] => restorer.ready?.models ?? [],
    rtmp,
    ready: () =>
      restorer.ready
        ? { ready: true }
        : { ready: false, reason: 'the restorer is opening and timing its models' },
    onStatus(listener) {
      streams.on('status', listener);
      return () => streams.off('status', listener);
    },
    onRemoved(listener) {
      streams.on('removed', listener);
      return () => streams.off('removed', listener);
    },
    trace: (name, seconds) => streams.get(name) && streams.trace(name, seconds),
    reportViewerLatency(stream, protocol, samples, pts = []) {
      const watched = streams.get(stream);
      if (!watched) return;
      // Players count from the output clock, from which a picture's capture is the same way off for all.
      const lead = watched.status.input?.captureLead;
      const basis = lead === undefined ? 'arrival' : 'capture';
      for (const ms of samples)
        metrics.viewerLatency.observe({ stream, protocol, basis }, Math.max(0, ms + (lead ?? 0)) / 1000);
      for (const [index, ticks] of pts.entries()) {
        const ms = samples[index];
        if (ms !== undefined) streams.deliveries.shown(stream, protocol, ticks, ticks / TICKS_PER_MS + ms);
      }
    },
  };
}

/** Settings with some changed, those of `null` to their defaults. Throws when a value is out of range. */
function merged(config: StreamConfig, patch: StreamPatch, defaults: StreamConfig): StreamConfig {
  const set = Object.entries(patch)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => [name, value ?? defaults[name as keyof StreamConfig]]);
  const bitrate = patch.bitrate === null ? defaults.bitrate : { ...config.bitrate, ...patch.bitrate };
  return streamSchema.parse({ ...config, ...Object.fromEntries(set), bitrate });
}
