import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Metrics } from '../../src/telemetry/metrics.ts';

describe('Metrics', () => {
  it('forget() drops every series of one stream and of no other', async () => {
    const metrics = new Metrics();
    for (const stream of ['gate', 'yard']) {
      metrics.stageDuration.observe({ stream, stage: 'decode' }, 0.01);
      metrics.stageDuration.observe({ stream, stage: 'restore' }, 0.02);
      metrics.frameLatency.observe({ stream }, 0.1);
      metrics.viewerLatency.observe({ stream, protocol: 'hls', basis: 'arrival' }, 2);
      metrics.frames.inc({ stream, outcome: 'restored' });
      metrics.drops.inc({ stream, cause: 'late' });
      metrics.streamState.set({ stream, state: 'live' }, 1);
      metrics.viewers.set({ stream, protocol: 'webrtc' }, 3);
      metrics.sourceReconnects.inc({ stream });
      metrics.publishedBitrate.set({ stream, rendition: 'compare' }, 1e6);
    }
    metrics.restorerUp.set(1);
    metrics.httpDuration.observe({ method: 'GET', route: '/', status: '200' }, 0.01);
    const before = (await metrics.registry.metrics()).split('\n');
    metrics.forget('gate');
    const after = (await metrics.registry.metrics()).split('\n');
    assert.deepEqual(
      after,
      before.filter((line) => !line.includes('stream="gate"')),
    );
    assert.ok(after.some((line) => line.includes('stream="yard"')));
    metrics.forget('never there');
  });

  it('names everything clearway_ and as DESIGN.md has it', async () => {
    const names = new Metrics().registry.getMetricsAsArray().map(({ name }) => name);
    assert.ok(names.every((name) => name.startsWith('clearway_')));
    for (const name of [
      'stage_duration_seconds',
      'frame_latency_seconds',
      'viewer_latency_seconds',
      'frames_total',
      'stream_state',
      'viewers',
      'source_reconnects_total',
      'accelerator_utilization_ratio',
      'accelerator_memory_used_bytes',
      'http_request_duration_seconds',
    ]) {
      assert.ok(names.includes(`clearway_${name}`), name);
    }
  });

  it('adds what the process itself uses', async () => {
    const metrics = new Metrics();
    metrics.collectProcess();
    assert.match(await metrics.registry.metrics(), /process_resident_memory_bytes \d/);
  });
});
