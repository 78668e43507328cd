import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Deliveries } from '../../src/telemetry/deliveries.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';

const FRAME = 3600;
const BEGIN = 1_795_000_000_000;

/** Frames 40 ms apart, each published 2 ms after its encoding, which took 20 ms. */
function published(frames: number): { deliveries: Deliveries; metrics: Metrics } {
  const metrics = new Metrics();
  const deliveries = new Deliveries(metrics);
  for (let index = 0; index < frames; index++) {
    const encoded = BEGIN + index * 40 + 20;
    // A rendition after the other.
    for (const late of [1, 2]) {
      deliveries.published('gate', { pts: BEGIN * 90 + index * FRAME, encoded }, encoded + late);
    }
  }
  return { deliveries, metrics };
}

/** Seconds and samples of a stage so far. */
async function stage(metrics: Metrics, name: string): Promise<[number, number]> {
  const { values } = await metrics.stageDuration.get();
  const of = (suffix: string) =>
    values.find(
      ({ metricName, labels }) =>
        metricName === `clearway_stage_duration_seconds_${suffix}` && labels.stage === name,
    )?.value ?? 0;
  return [Math.round(of('sum') * 1000), of('count')];
}

describe('Deliveries', () => {
  it('attribute each stage after the encoder to the very frame', async () => {
    const { deliveries, metrics } = published(3);
    const pts = BEGIN * 90 + FRAME;
    const encoded = BEGIN + 40 + 20;
    deliveries.sent('gate', pts, encoded + 7);
    deliveries.shown('gate', 'webrtc', pts, encoded + 67);
    // An HLS player knows the time of a frame to a millisecond.
    deliveries.shown('gate', 'hls', pts + 80, encoded + 2002);
    assert.deepEqual(await stage(metrics, 'publish'), [9, 6]);
    assert.deepEqual(await stage(metrics, 'packetise'), [5, 1]);
    assert.deepEqual(await stage(metrics, 'display'), [60, 1]);
    assert.deepEqual(await stage(metrics, 'display-hls'), [2000, 1]);
    const [, frame] = deliveries.of('gate', BEGIN);
    assert.deepEqual(frame, {
      pts,
      encoded,
      published: encoded + 2,
      sent: encoded + 7,
      webrtc: encoded + 67,
      hls: encoded + 2002,
    });
  });

  it('believe no player that names a frame there never was', async () => {
    const { deliveries, metrics } = published(3);
    for (const pts of [0, BEGIN * 90 + FRAME / 2, BEGIN * 90 + 10 * FRAME])
      deliveries.shown('gate', 'webrtc', pts, BEGIN + 100);
    deliveries.shown('yard', 'webrtc', BEGIN * 90, BEGIN + 100);
    assert.deepEqual(await stage(metrics, 'display'), [0, 0]);
  });

  it('hold a minute of a stream, and nothing of one that is gone', () => {
    const { deliveries } = published(25 * 90);
    const frames = deliveries.of('gate', 0);
    assert.equal(frames.length, 25 * 60 + 1);
    deliveries.forget('gate');
    assert.deepEqual(deliveries.of('gate', 0), []);
  });
});
