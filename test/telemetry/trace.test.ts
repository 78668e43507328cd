import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import { Traces } from '../../src/telemetry/trace.ts';

/** A second of one stream: frames 40 ms apart from `arrival` on, each 35 ms in all. */
function report(stream: string, arrival: number, frames: number): StreamReport {
  const each = (ms: number) => Array.from({ length: frames }, () => ms);
  return {
    stream,
    restored: frames,
    passthrough: 0,
    dropped: {},
    fps: 25,
    // 5 ms between smoothing and encoding are a wait for the encoder.
    stages: { decode: each(4), queue: each(1), restore: each(15), smooth: each(4), encode: each(6) },
    total: each(35),
    arrivals: Array.from({ length: frames }, (_, index) => arrival + index * 40),
    unchanged: 0,
    latency: {},
  };
}

interface Slice {
  name: string;
  ph: string;
  tid: number;
  ts: number;
  dur: number;
}

function slices(trace: object): Slice[] {
  return (trace as { traceEvents: Slice[] }).traceEvents.filter(({ ph }) => ph === 'X');
}

describe('Traces', () => {
  it('lays every stage of a frame where it was, the encoder at the end', () => {
    const traces = new Traces();
    traces.add(report('gate', 1000, 2), 2000);
    const [frame, decode, queue, restore, smooth, encode, second] = slices(traces.take('gate', 60, 2000));
    assert.deepEqual([frame!.name, frame!.ts, frame!.dur], ['restored', 0, 35_000]);
    assert.deepEqual(
      [decode, queue, restore, smooth, encode].map((slice) => [slice!.name, slice!.ts, slice!.dur]),
      [
        ['decode', 0, 4000],
        ['queue', 4000, 1000],
        ['restore', 5000, 15_000],
        ['smooth', 20_000, 4000],
        ['encode', 29_000, 6000],
      ],
    );
    assert.equal(second!.ts, 40_000);
  });

  it('begins with the capture, of the frames whose camera says when that was', () => {
    const traces = new Traces();
    traces.add({ ...report('gate', 1000, 2), captured: [45, null] }, 2000);
    const [frame, capture, decode] = slices(traces.take('gate', 60, 2000));
    assert.deepEqual([frame!.name, frame!.ts], ['restored', 45_000]);
    assert.deepEqual([capture!.name, capture!.ts, capture!.dur], ['capture', 0, 45_000]);
    assert.deepEqual([decode!.name, decode!.ts], ['decode', 45_000]);
    const captures = slices(traces.take('gate', 60, 2000)).filter(({ name }) => name === 'capture');
    assert.equal(captures.length, 1);
  });

  it('goes on to the screens a frame was shown on', () => {
    const traces = new Traces();
    traces.add(report('gate', 1000, 1), 2000);
    const delivered = { pts: 90_000, encoded: 1035, published: 1036, sent: 1040, webrtc: 1100, hls: 3036 };
    const shown = slices(traces.take('gate', 60, 4000, [delivered])).slice(-4);
    assert.deepEqual(
      shown.map(({ name, ts, dur }) => [name, ts, dur]),
      [
        ['publish', 35_000, 1000],
        ['packetise', 36_000, 4000],
        ['display', 40_000, 60_000],
        ['display-hls', 36_000, 2_000_000],
      ],
    );
    assert.equal(new Set(shown.map(({ tid }) => tid)).size, 4);
    const unseen = slices(traces.take('gate', 60, 4000, [{ pts: 90_000, encoded: 1035, published: 1036 }]));
    assert.equal(unseen.at(-1)!.name, 'publish');
  });

  it('gives the seconds asked for, of the stream asked for', () => {
    const traces = new Traces();
    for (let second = 0; second < 90; second++) {
      traces.add(report('gate', second * 1000, 25), second * 1000 + 1000);
      traces.add(report('yard', second * 1000, 1), second * 1000 + 1000);
    }
    const frames = (seconds: number) =>
      slices(traces.take('gate', seconds, 90_000)).filter(({ name }) => name === 'restored').length;
    assert.equal(frames(10), 11 * 25);
    assert.equal(frames(60), 60 * 25);
  });

  it('keeps nothing of a stream that is gone, and answers all the same', () => {
    const traces = new Traces();
    traces.add(report('gate', 0, 25), 1000);
    traces.forget('gate');
    assert.deepEqual(slices(traces.take('gate', 60, 1000)), []);
  });
});
