import assert from 'node:assert/strict';
import type { AccessUnit, AudioPacket } from '../../../src/contracts/media.ts';
import { MediaWindow } from '../../../src/publish/hls/media-window.ts';
import { renderMediaPlaylist } from '../../../src/publish/hls/playlist.ts';
import { Segmenter } from '../../../src/publish/hls/segmenter.ts';
import { planTiming } from '../../../src/publish/hls/timing.ts';
import { silentLogger } from '../../../src/telemetry/log.ts';
import { encodeMaterial, type Material } from '../../support/h264-material.ts';
import { PlaylistChecker } from './playlist-checker.ts';

const made = new Map<string, Promise<Material>>();

/** One keyframe, then eight seconds without: an encoder that makes one when it is asked jumps back to the first. */
export function material(width = 160, height = 120): Promise<Material> {
  const key = `${width}x${height}`;
  const one = made.get(key) ?? encodeMaterial({ width, height, fps: 25, gop: 200, bitrate: 200_000 });
  made.set(key, one);
  return one;
}

export interface RunOptions {
  audio?: boolean;
  part?: number;
  segment?: number;
  segments?: number;
  /** Ticks between the first pictures, which the timing is planned from. */
  frame?: number;
  /** Pictures from a keyframe request to the keyframe; Infinity = the encoder never obeys. */
  obedience?: number;
}

/**
 * Drives a segmenter with real pictures on a clock of the test's own, with the playlist checked at every change, and
 * every part kept.
 */
export class Run implements Disposable {
  readonly checker = new PlaylistChecker();
  readonly window: MediaWindow;
  readonly segmenter: Segmenter;
  /** Each part's bytes by file name, and all inits, as a player that fetches everything gets them. */
  readonly parts = new Map<string, Buffer>();
  readonly inits = new Map<number, Buffer>();
  readonly segments = new Map<number, Buffer>();
  requests = 0;
  now = Date.UTC(2026, 10, 23) * 90;
  #material: Material;
  #size: { width: number; height: number };
  #at = 0;
  /** Pictures until the keyframe that was asked for. */
  #due = Infinity;
  #obedience: number;

  constructor(material: Material, options: RunOptions = {}, size = { width: 160, height: 120 }) {
    const { audio = false, part = 400, segment = 2000, segments = 8, frame = 3600 } = options;
    this.#material = material;
    this.#size = size;
    this.#obedience = options.obedience ?? 2;
    this.window = new MediaWindow({
      timing: planTiming({ part, segment }, [frame, frame, frame]),
      keep: segments,
      start: { msn: 100, discontinuity: 0 },
      onChange: () => this.#changed(),
    });
    this.segmenter = new Segmenter({
      window: this.window,
      audio,
      resumed: false,
      requestKeyframe: () => {
        this.requests++;
        this.#due = Math.min(this.#due, this.#obedience);
      },
      logger: silentLogger,
    });
  }

  /** The next picture comes `ticks` after the last. */
  picture(ticks: number, forceKey = false): AccessUnit {
    this.now += ticks;
    const { pictures } = this.#material;
    if (forceKey || this.#due-- <= 0) this.#at = 0;
    const found = pictures[this.#at]!;
    this.#at = (this.#at + 1) % pictures.length;
    if (found.key) this.#due = Infinity;
    const unit: AccessUnit = {
      rendition: 'restored',
      ...found,
      pts: this.now,
      ...this.#size,
      arrival: this.now / 90,
      encoded: this.now / 90,
      outcome: 'restored',
    };
    this.segmenter.video(unit);
    return unit;
  }

  pictures(count: number, ticks: number | ((index: number) => number)): void {
    for (let index = 0; index < count; index++) {
      this.picture(typeof ticks === 'number' ? ticks : ticks(index));
    }
  }

  sound(pts: number, index: number): void {
    const data = this.#material.audio.aac[index % this.#material.audio.aac.length]!;
    const packet: AudioPacket = { codec: 'aac', data, pts, duration: 1920 };
    this.segmenter.audio(packet);
  }

  changeMaterial(material: Material, size: { width: number; height: number }): void {
    this.#material = material;
    this.#size = size;
    this.#at = 0;
  }

  [Symbol.dispose](): void {
    this.segmenter.close();
  }

  get partDurations(): number[] {
    return [...this.checker.segments.values()].flatMap(({ parts }) => parts.map(({ duration }) => duration));
  }

  get segmentDurations(): number[] {
    return [...this.checker.segments.values()].flatMap(({ duration }) => duration ?? []);
  }

  /** What a player that took parts has, and what one that took segments has. */
  files(): { parts: Buffer; segments: Buffer } {
    const init = this.inits.values().next().value!;
    return {
      parts: Buffer.concat([init, ...this.parts.values()]),
      segments: Buffer.concat([init, ...this.segments.values()]),
    };
  }

  #changed(): void {
    const playlist = this.checker.check(renderMediaPlaylist(this.window, { skip: false, reports: [] }));
    const newest = this.window.segment(playlist.segments.at(-1)!.msn)!;
    const part = newest.parts.length - 1;
    this.parts.set(`${newest.msn}.${part}.m4s`, newest.parts[part]!.data);
    this.inits.set(newest.initMsn, newest.init.data);
    assert.ok(this.window.init(newest.initMsn));
    if (newest.data) this.segments.set(newest.msn, newest.data);
  }
}
