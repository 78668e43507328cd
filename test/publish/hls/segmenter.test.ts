import assert from 'node:assert/strict';
import { test } from 'node:test';
import { material, Run } from './encoder.ts';

const regular = await material();

test('25 fps: parts of ten pictures, segments cut at the keyframes asked for, two seconds each', () => {
  using run = new Run(regular);
  run.pictures(25 * 60, 3600);
  assert.ok(run.checker.reloads > 150);
  const [, ...segments] = run.segmentDurations;
  assert.ok(segments.length >= 28);
  // The first keyframe is three pictures late; from then on it is asked for that much earlier.
  assert.deepEqual(new Set(segments), new Set([2]));
  assert.deepEqual(new Set(run.partDurations), new Set([0.4, 0.28]));
  assert.ok(Math.abs(run.requests - run.segmentDurations.length) <= 1, 'one request a segment');
  for (const { parts } of run.checker.segments.values()) {
    assert.deepEqual(
      parts.map(({ independent }) => independent),
      parts.map((_, index) => index === 0),
    );
  }
});

for (const [fps, frame] of [
  [60, 1500],
  [30, 3000],
  [15, 6000],
  [7.5, 12_000],
  [5, 18_000],
  [2, 45_000],
  [0.5, 180_000],
] as const) {
  test(`${fps} fps: the playlist keeps its promises`, () => {
    using run = new Run(regular, { frame });
    run.pictures(Math.max(60, fps * 40), frame);
    assert.ok(run.checker.segments.size > 5);
  });
}

test('jitter, dropped pictures and a bursty clock: the playlist keeps its promises', () => {
  using run = new Run(regular);
  const random = lcg(7);
  run.pictures(3000, () => {
    const dropped = random() < 0.05 ? 3600 : 0;
    return Math.max(1, Math.round(3600 + dropped + (random() - 0.5) * 3400));
  });
  assert.ok(run.checker.segments.size > 50);
});

test('a camera that slows down after the part target was announced: parts stay full, segments in bounds', () => {
  using run = new Run(regular);
  for (const frame of [3600, 13_500, 12_857, 45_000, 90_000, 3600]) run.pictures(150, frame);
  assert.ok(run.checker.segments.size > 20);
});

test('an encoder that ignores keyframe requests: segments end before they break the target duration', () => {
  using run = new Run(regular, { obedience: Infinity });
  run.pictures(1000, 3600);
  assert.ok(run.segmentDurations.length >= 15);
  assert.ok(Math.max(...run.segmentDurations) < 2.5 && Math.min(...run.segmentDurations.slice(1)) > 1.5);
  const dependent = [...run.checker.segments.values()].filter(({ parts }) => !parts[0]!.independent);
  assert.ok(dependent.length > 5);
});

test('keyframes others asked for cut nothing; their part is independent', () => {
  using run = new Run(regular);
  for (let index = 0; index < 1000; index++) run.picture(3600, index % 50 === 13);
  const segments = [...run.checker.segments.values()].slice(1, -1);
  for (const { duration, parts } of segments) {
    assert.ok(duration! > 1.75 && duration! < 2.25, `${duration}`);
    assert.equal(parts.filter(({ independent }) => independent).length, 2);
  }
});

test('pictures that do not come later than the last are dropped', () => {
  using run = new Run(regular);
  run.pictures(20, 3600);
  run.picture(0);
  run.picture(-9000);
  run.now += 9000;
  run.pictures(200, 3600);
  assert.ok(run.checker.segments.size >= 4);
});

test('a break of the timeline: a discontinuity, and nothing until a keyframe', () => {
  using run = new Run(regular, { obedience: 5 });
  run.pictures(115, 3600);
  const requests = run.requests;
  run.segmenter.discontinuity();
  run.segmenter.discontinuity();
  run.now += 90_000 * 20;
  run.pictures(600, 3600);
  assert.ok(run.requests > requests);
  const marked = [...run.checker.segments.values()].filter(({ discontinuity }) => discontinuity);
  assert.equal(marked.length, 1);
  assert.equal(marked[0]!.parts[0]!.independent, true);
  assert.equal(run.inits.size, 1);
  // It has left the playlist by now, and is counted.
  assert.equal(run.window.discontinuitySequence, 1);
});

test('a gap nobody announced is a break of the timeline too', () => {
  using run = new Run(regular);
  run.pictures(115, 3600);
  run.now += 90_000 * 20;
  run.pictures(100, 3600);
  const marked = [...run.checker.segments.values()].filter(({ discontinuity }) => discontinuity);
  assert.equal(marked.length, 1);
  assert.equal(marked[0]!.parts[0]!.independent, true);
});

test('another picture size: a new init segment after a discontinuity', async () => {
  using run = new Run(regular);
  run.pictures(80, 3600);
  run.changeMaterial(await material(320, 240), { width: 320, height: 240 });
  run.pictures(80, 3600);
  assert.equal(run.inits.size, 2);
  const segments = [...run.checker.segments.values()];
  const changed = segments.find(({ discontinuity }) => discontinuity)!;
  assert.equal(changed.map, `init-${changed.msn}.mp4`);
  assert.equal(new Set(segments.map(({ map }) => map)).size, 2);
});

test('a keyframe with broken parameter sets is waited over', () => {
  using run = new Run(regular);
  run.pictures(80, 3600);
  const data = new Uint8Array([0, 0, 0, 1, 0x67, 0, 0, 0, 1, 0x68, 0, 0, 0, 1, 0x65, 1, 2, 3]);
  const [width, height] = [160, 120];
  run.now += 3600;
  run.segmenter.video({
    rendition: 'restored',
    data,
    pts: run.now,
    key: true,
    width,
    height,
    arrival: 0,
    encoded: 0,
    outcome: 'restored',
  });
  run.pictures(300, 3600);
  assert.ok(run.checker.segments.size > 6);
});

test('what is kept is bounded by what is listed', () => {
  using run = new Run(regular, { segments: 4 });
  run.pictures(25 * 120, 3600);
  const { listed } = run.window;
  assert.ok(listed.length <= 5);
  const held = [...Array(200).keys()].filter((index) => run.window.segment(100 + index)).length;
  assert.ok(held <= listed.length + 2, `${held} segments held`);
});

test('short segments stay listed until the playlist is three target durations without them', () => {
  using run = new Run(regular, { segments: 3 });
  for (let outage = 0; outage < 30; outage++) {
    run.pictures(20, 3600);
    run.segmenter.discontinuity();
  }
  assert.ok(run.window.listed.length >= 7);
  assert.ok(run.window.discontinuitySequence > 10);
});

/** A linear congruential generator: the same jitter every run. */
function lcg(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    return state / 2 ** 32;
  };
}

test('a segment is there once, however many players are sent it: its parts are views of it', () => {
  using run = new Run(regular);
  run.pictures(500, 3600);
  const complete = run.window.listed.filter(({ data }) => data !== undefined);
  assert.ok(complete.length > 5);
  for (const { msn, data, parts } of complete) {
    assert.equal(run.window.segment(msn)!.data, data);
    let at = data!.byteOffset;
    for (const part of parts) {
      assert.deepEqual([part.data.buffer, part.data.byteOffset], [data!.buffer, at]);
      at += part.data.length;
    }
    assert.equal(at, data!.byteOffset + data!.length);
  }
});
