import type { StreamConfigInput, StreamPatch } from '../../src/config/schema.ts';
import type { Control, ModelInfo, RtmpInfo } from '../../src/contracts/control.ts';
import { ClearwayError } from '../../src/contracts/errors.ts';
import type { StreamStatus } from '../../src/contracts/stream.ts';
import { redact } from '../../src/telemetry/redact.ts';

/** A Control that keeps its streams in memory and connects to nothing. */
export class FakeControl implements Control {
  readonly streams = new Map<string, { status: StreamStatus; settings: StreamConfigInput }>();
  readonly reported: { stream: string; protocol: string; samples: number[] }[] = [];
  readiness: { ready: boolean; reason?: string } = { ready: true };
  readonly #onStatus = new Set<(status: StreamStatus) => void>();
  readonly #onRemoved = new Set<(name: string) => void>();

  list(): StreamStatus[] {
    return [...this.streams.values()].map(({ status }) => status);
  }
  get(name: string): StreamStatus | undefined {
    return this.streams.get(name)?.status;
  }
  settings(name: string): Record<string, unknown> | undefined {
    const settings = this.streams.get(name)?.settings;
    return settings && { ...settings, source: redact(settings.source) };
  }
  async create(name: string, input: StreamConfigInput): Promise<StreamStatus> {
    if (this.streams.has(name)) {
      throw new ClearwayError('CLEARWAY_STREAM_EXISTS', `Stream ${name} is there already.`, { status: 409 });
    }
    const status: StreamStatus = {
      name,
      state: 'idle',
      cause: 'nobody is watching',
      since: new Date(0).toISOString(),
      reconnects: 0,
      source: redact(input.source),
      onDemand: input.onDemand ?? false,
      fps: 0,
      frames: { restored: 0, passthrough: 0, dropped: 0 },
      viewers: { webrtc: 0, hls: 0 },
    };
    this.streams.set(name, { status, settings: input });
    this.push(name, {});
    return status;
  }
  async update(name: string, patch: StreamPatch): Promise<StreamStatus> {
    const stream = this.streams.get(name)!;
    const settings = Object.entries({ ...stream.settings, ...patch }).filter(([, value]) => value !== null);
    stream.settings = Object.fromEntries(settings) as StreamConfigInput;
    return stream.status;
  }
  async remove(name: string): Promise<void> {
    this.streams.delete(name);
    for (const listener of this.#onRemoved) listener(name);
  }
  models(): ModelInfo[] {
    return [
      { name: 'lite', kind: 'restorer', description: 'light', version: '1', window: { past: 1, future: 0 } },
    ];
  }
  rtmp(): RtmpInfo {
    return { enabled: true, host: '127.0.0.1', port: 1935 };
  }
  ready(): { ready: boolean; reason?: string } {
    return this.readiness;
  }
  onStatus(listener: (status: StreamStatus) => void): () => void {
    this.#onStatus.add(listener);
    return () => this.#onStatus.delete(listener);
  }
  onRemoved(listener: (name: string) => void): () => void {
    this.#onRemoved.add(listener);
    return () => this.#onRemoved.delete(listener);
  }
  trace(name: string, seconds: number): object | undefined {
    return this.streams.has(name) ? { otherData: { stream: name, seconds }, traceEvents: [] } : undefined;
  }
  reportViewerLatency(stream: string, protocol: 'webrtc' | 'hls', samples: number[]): void {
    this.reported.push({ stream, protocol, samples });
  }

  /** Changes a stream's status and tells the listeners. */
  push(name: string, change: Partial<StreamStatus>): void {
    const stream = this.streams.get(name)!;
    stream.status = { ...stream.status, ...change };
    for (const listener of this.#onStatus) listener(stream.status);
  }
  get listeners(): number {
    return this.#onStatus.size + this.#onRemoved.size;
  }
}
