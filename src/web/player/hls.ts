import type HlsPlayer from 'hls.js';
import type { ErrorData, HlsConfig } from 'hls.js';
import type { Rendition } from '../../contracts/media.ts';
import { part } from '../core/part.ts';
import { type Failure, makeVideo, type Session, type SessionOptions } from './session.ts';

const CONFIG: Partial<HlsConfig> = {
  lowLatencyMode: true,
  // Catches up by playing up to half again as fast instead of staying behind (1, the default, never does).
  maxLiveSyncPlaybackRate: 1.5,
  backBufferLength: 4,
  maxBufferLength: 12,
  // Fragmented MP4 passes through unchanged: a worker would only copy it.
  enableWorker: false,
  startFragPrefetch: true,
};

/** Seconds behind live that are made up for by a jump, not by playing faster. */
const BEHIND = 1;

/** Whether this browser plays low-latency HLS better by itself than through MSE. */
function prefersNative(video: HTMLVideoElement): boolean {
  const apple = navigator.vendor.startsWith('Apple');
  const mse = 'MediaSource' in window || 'ManagedMediaSource' in window;
  return (apple || !mse) && video.canPlayType('application/vnd.apple.mpegurl') !== '';
}

function failureOf(data: ErrorData): Failure {
  const status = data.response?.code;
  if (status === 401 || status === 403) return { kind: 'refused', why: 'Not allowed to play this camera.' };
  if (status === 404 || status === 503) return { kind: 'offline', why: 'There is no HLS picture yet.' };
  if (data.type === 'networkError') return { kind: 'gone', why: 'The gateway does not answer.' };
  return { kind: 'unusable', why: `HLS does not play here (${data.details}).` };
}

/** Low-latency HLS through hls.js, or the browser's own player on Safari. */
export class HlsSession implements Session {
  readonly protocol = 'hls';
  readonly rendition: Rendition;
  readonly video = makeVideo();
  readonly #options: SessionOptions;
  readonly #url: string;
  #hls: HlsPlayer | undefined;
  #recovered = false;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.rendition = options.rendition;
    this.#url = `/hls/${encodeURIComponent(options.stream)}/index.m3u8?rendition=${options.rendition}`;
    this.#open().catch((error: unknown) =>
      this.#fail({ kind: 'unusable', why: error instanceof Error ? error.message : String(error) }),
    );
  }

  arrival(frame: VideoFrameCallbackMetadata): number | undefined {
    // PROGRAM-DATE-TIME of the playhead, moved to the very frame that is shown.
    const start = this.#hls ? this.#dateAtZero() : this.#nativeStart();
    return start === undefined ? undefined : start + frame.mediaTime * 1000;
  }

  toLive(): void {
    const { video } = this;
    const { seekable } = video;
    const end = seekable.length > 0 ? seekable.end(seekable.length - 1) : 0;
    const live = this.#hls ? (this.#hls.liveSyncPosition ?? 0) : end;
    if (live - video.currentTime > BEHIND) video.currentTime = live;
    void video.play().catch(() => undefined);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#hls?.destroy();
    this.video.onerror = null;
    this.video.removeAttribute('src');
    this.video.load();
  }

  async #open(): Promise<void> {
    if (prefersNative(this.video)) {
      this.video.onerror = () => this.#fail({ kind: 'offline', why: 'There is no HLS picture yet.' });
      this.video.src = this.#url;
      return;
    }
    const { default: Hls } = await part(() => import('hls.js'));
    if (this.#closed) return;
    if (!Hls.isSupported()) throw new Error('This browser plays neither WebRTC nor HLS from here.');
    const hls = new Hls(CONFIG);
    this.#hls = hls;
    hls.on(Hls.Events.ERROR, (_, data) => {
      if (!data.fatal) return;
      if (data.type === Hls.ErrorTypes.MEDIA_ERROR && !this.#recovered) {
        this.#recovered = true;
        hls.recoverMediaError();
      } else this.#fail(failureOf(data));
    });
    hls.loadSource(this.#url);
    hls.attachMedia(this.video);
    // Autoplay of a muted element is always allowed; a refusal here is a closed session.
    this.video.oncanplay = () => void this.video.play().catch(() => undefined);
  }

  #dateAtZero(): number | undefined {
    const date = this.#hls?.playingDate?.getTime();
    return date === undefined ? undefined : date - this.video.currentTime * 1000;
  }

  #nativeStart(): number | undefined {
    const video = this.video as HTMLVideoElement & { getStartDate?(): Date };
    const start = video.getStartDate?.().getTime();
    return start === undefined || Number.isNaN(start) ? undefined : start;
  }

  #fail(failure: Failure): void {
    if (this.#closed) return;
    this.close();
    this.#options.failed(failure);
  }
}
