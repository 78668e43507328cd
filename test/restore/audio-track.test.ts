import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AudioPacket } from '../../src/contracts/media.ts';
import { AudioTrack } from '../../src/restore/audio-track.ts';
import { OutputClock } from '../../src/restore/clock.ts';

const START = 1_795_000_000_000;
/** 20 ms of stereo silence at 48 kHz: one Opus packet. */
const CHUNK = new Uint8Array(960 * 4);
/** Milliseconds Opus looks back. */
const LOOKBACK = 6.5;

/** Feeds sound and pictures; `arrival` says when the picture of a source time, ms, arrives. */
function play(seconds: number, arrival: (source: number) => number) {
  const packets: AudioPacket[] = [];
  const clock = new OutputClock();
  const track = new AudioTrack((packet) => packets.push(packet));
  track.want(['opus']);
  let due: number | undefined;
  for (let source = 0; source < seconds * 1000; source += 20) {
    if (source % 40 === 0) due = clock.video(source, arrival(source)) ?? due;
    track.push(CHUNK, source, clock);
    track.release(due!, 0);
  }
  track.release(Number.POSITIVE_INFINITY, 0);
  // One chunk in, one packet out: the last packet is the last chunk.
  const error = packets.at(-1)!.pts / 90 - (clock.audio((seconds - 0.02) * 1000)! / 90 - LOOKBACK);
  track.close();
  return { packets, error };
}

const CASES: Record<string, (source: number) => number> = {
  'a steady source': (source) => START + source,
  'a source whose first picture came late': (source) => START + (source === 0 ? 90 : source),
  'a camera with a slow crystal': (source) => START + source * 1.0009,
  'a camera with a fast crystal': (source) => START + source * 0.9991,
  'a server that begins with its stored group of pictures': (source) =>
    START + Math.max(source - 2000, source / 10),
};

for (const [name, arrival] of Object.entries(CASES)) {
  test(`sound stays within 40 ms of its picture and never goes back in time: ${name}`, () => {
    const { packets, error } = play(90, arrival);
    assert.ok(Math.abs(error) <= 40, `the last packet is ${error.toFixed(1)} ms off`);
    for (const [i, { pts, duration }] of packets.entries()) {
      const next = packets[i + 1];
      assert.ok(!next || next.pts >= pts + duration - 1, `packet ${i + 1} overlaps the one before`);
    }
  });
}

test('sound of a new timeline waits for the picture that explains it', () => {
  const clock = new OutputClock();
  clock.video(1000, START);
  assert.equal(clock.audio(1500), (START + 500) * 90);
  for (const jump of [3_600_000, -3_600_000]) assert.equal(clock.audio(1500 + jump), undefined);
});
