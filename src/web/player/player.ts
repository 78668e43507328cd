import type { Rendition } from '../../contracts/media.ts';
import { Backoff } from '../core/backoff.ts';
import { localNow } from '../core/clock.ts';
import { GlassMeter } from './glass.ts';
import { HlsSession } from './hls.ts';
import type { Failure, Protocol, Session, SessionOptions } from './session.ts';
import { WebrtcSession } from './webrtc.ts';

/** A live camera gives its first picture over WebRTC well within this, or WebRTC does not work from here. */
const NO_PICTURE_MS = 4_000;
/** HLS starts with whole segments and waits for its first ones to be made. */
const NO_PICTURE_HLS_MS = 15_000;
/** A live picture that stands still this long is a broken connection. */
const STALL_MS = 4_000;
const STALL_HLS_MS = 10_000;
/** Who looks elsewhere for a moment finds the picture running; after that it is not worth camera, gateway and network. */
const AWAY_MS = 60_000;
/** What a browser shows while it wakes a hidden page up is late by the browser's doing. */
const WAKING_MS = 1_000;

export interface PlayerStatus {
  phase: 'connecting' | 'playing' | 'waiting' | 'refused';
  /** The protocol in use while playing. */
  protocol?: Protocol | undefined;
  /** Why it is in this phase, or why this protocol, in words; empty when there is nothing to say. */
  why: string;
}

export interface PlayerOptions {
  stream: string;
  rendition: Rendition;
  /** Where the video elements live; they are drawn elsewhere. */
  mount: HTMLElement;
  /** Gateway minus local clock, ms. */
  clockOffset(): number | undefined;
  /** Whether the gateway says that this camera has a picture now. */
  expectsPicture(): boolean;
  /** A new frame of `rendition` is in `video`. */
  frame(video: HTMLVideoElement, rendition: Rendition): void;
  status(status: PlayerStatus): void;
}

const OPENERS: Record<Protocol, new (options: SessionOptions) => Session> = {
  webrtc: WebrtcSession,
  hls: HlsSession,
};

/**
 * Plays one camera without ever giving up: WebRTC first, HLS when WebRTC gives no picture, WebRTC again when it
 * works again. A new session takes over at its first frame; until then the old one keeps playing.
 */
export class Player {
  readonly glass = new GlassMeter();
  readonly #options: PlayerOptions;
  readonly #retryBackoff = new Backoff(500, 8_000);
  readonly #probeBackoff = new Backoff(15_000, 120_000);
  #rendition: Rendition;
  #active: Session | undefined;
  #candidate: Session | undefined;
  #lastFrame = 0;
  #recovering = false;
  #candidateSince = 0;
  #retry = 0;
  #watch = 0;
  #whyHls = '';
  #audio = { muted: true, volume: 1 };
  readonly #abort = new AbortController();
  #away = 0;
  #left = false;
  #shownSince = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: PlayerOptions) {
    this.#options = options;
    this.#rendition = options.rendition;
  }

  start(): void {
    this.#watch = window.setInterval(() => this.#check(), 500);
    const { signal } = this.#abort;
    document.addEventListener('visibilitychange', () => this.#shownOrHidden(), { signal });
    if (document.hidden) this.#shownOrHidden();
    // Later tries leave what the last one came to in its place, not a word that comes and goes.
    this.#say('connecting', '');
    this.#try('webrtc');
  }

  get protocol(): Protocol | undefined {
    return this.#active?.protocol;
  }

  /** The element whose frames are shown; undefined before the first one. */
  get video(): HTMLVideoElement | undefined {
    return this.#active?.video;
  }

  setRendition(rendition: Rendition): void {
    if (rendition === this.#rendition) return;
    this.#rendition = rendition;
    this.#try(this.#active?.protocol ?? 'webrtc');
  }

  setAudio(muted: boolean, volume: number): void {
    this.#audio = { muted, volume };
    this.#applyAudio();
  }

  /** The gateway is reachable again or the camera is back: no reason to wait any longer. */
  hurry(): void {
    if (this.#retry === 0) return;
    this.#retryBackoff.reset();
    this.#try('webrtc');
  }

  close(): void {
    this.#closed = true;
    this.#abort.abort();
    clearTimeout(this.#away);
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#drop('candidate');
    this.#drop('active');
  }

  /** A hidden page stops playing after a while, and plays again, live, once it is seen. */
  #shownOrHidden(): void {
    clearTimeout(this.#away);
    if (document.hidden) this.#away = window.setTimeout(() => this.#leave(), AWAY_MS);
    else {
      this.#shownSince = localNow();
      if (this.#left) this.#try('webrtc');
      else this.#active?.toLive?.();
      this.#left = false;
    }
  }

  #leave(): void {
    if (!this.#audio.muted || document.pictureInPictureElement !== null) {
      // Listened to, or watched in a window of its own.
      this.#shownOrHidden();
      return;
    }
    this.#left = true;
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#drop('candidate');
    this.#drop('active');
    this.#say('connecting', 'It rested while this page was hidden.');
  }

  #try(protocol: Protocol): void {
    clearTimeout(this.#retry);
    this.#retry = 0;
    this.#drop('candidate');
    const session: Session = new OPENERS[protocol]({
      stream: this.#options.stream,
      rendition: this.#rendition,
      failed: (failure) => this.#failed(session, failure),
    });
    this.#candidate = session;
    this.#candidateSince = localNow();
    this.#options.mount.append(session.video);
    this.#loop(session);
  }

  /** Follows a session's frames for as long as it is the candidate or the active one. */
  #loop(session: Session): void {
    session.video.requestVideoFrameCallback((_, metadata) => {
      if (this.#candidate === session) this.#promote(session);
      if (this.#active !== session) return;
      const now = localNow();
      this.#lastFrame = now;
      if (this.#recovering) {
        this.#recovering = false;
        this.#say('playing', this.#whyHls);
      }
      const offset = this.#options.clockOffset();
      if (offset !== undefined && now - this.#shownSince > WAKING_MS) {
        const shown = performance.timeOrigin + metadata.expectedDisplayTime;
        const arrival = session.arrival(metadata, shown + offset);
        if (arrival !== undefined) this.glass.add(shown + offset - arrival, now, arrival);
      }
      this.#options.frame(session.video, session.rendition);
      this.#loop(session);
    });
  }

  #promote(session: Session): void {
    this.#candidate = undefined;
    this.#drop('active');
    this.#active = session;
    this.#recovering = false;
    this.glass.clear();
    this.#retryBackoff.reset();
    this.#applyAudio();
    if (session.protocol === 'webrtc') {
      this.#probeBackoff.reset();
      this.#whyHls = '';
    } else this.#probeLater();
    this.#say('playing', this.#whyHls);
  }

  #failed(session: Session, failure: Failure): void {
    session.video.remove();
    // The gateway is heard all the while, so it is this request of it that does not get there.
    const blocked = failure.kind === 'gone' && this.#candidate === session && this.#options.expectsPicture();
    if (this.#active === session) this.#active = undefined;
    if (this.#candidate === session) this.#candidate = undefined;
    if (this.#closed || this.#candidate !== undefined) return;
    if (this.#active !== undefined) {
      // A probe or a switch that failed: what plays goes on.
      if (this.#active.protocol === 'hls') this.#probeLater();
      else this.#again(failure);
      return;
    }
    if (failure.kind === 'refused') {
      this.#say('refused', failure.why);
      // Who may watch, and how many, changes with the configuration.
      this.#probeLater();
    } else if (session.protocol === 'webrtc' && (failure.kind === 'unusable' || blocked)) {
      this.#whyHls = failure.why;
      this.#try('hls');
    } else {
      // Without HLS it is why WebRTC does not work that matters.
      this.#say('waiting', session.protocol === 'hls' ? `${this.#whyHls} ${failure.why}` : failure.why);
      this.#again(failure);
    }
  }

  #again(failure: Failure): void {
    const wait = Math.max(this.#retryBackoff.next(), (failure.retryAfter ?? 0) * 1000);
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#try('webrtc'), Math.min(wait, 30_000));
  }

  #probeLater(): void {
    clearTimeout(this.#retry);
    this.#retry = window.setTimeout(() => this.#try('webrtc'), this.#probeBackoff.next());
  }

  /** Twice a second: is there a picture where there should be one? */
  #check(): void {
    const now = localNow();
    // Hidden pages get no frame callbacks, and a camera without picture has none to give: nothing to conclude.
    const unseen = document.hidden && document.pictureInPictureElement === null;
    if (unseen || !this.#options.expectsPicture()) {
      this.#lastFrame = now;
      this.#candidateSince = now;
      return;
    }
    const candidate = this.#candidate;
    if (candidate !== undefined) {
      const limit = candidate.protocol === 'webrtc' ? NO_PICTURE_MS : NO_PICTURE_HLS_MS;
      if (now - this.#candidateSince < limit) return;
      candidate.close();
      this.#failed(candidate, {
        kind: candidate.protocol === 'webrtc' ? 'unusable' : 'offline',
        why:
          candidate.protocol === 'webrtc'
            ? `WebRTC gave no picture within ${NO_PICTURE_MS / 1000} s.`
            : 'HLS gave no picture either.',
      });
      return;
    }
    const active = this.#active;
    if (active === undefined) return;
    if (now - this.#lastFrame < (active.protocol === 'webrtc' ? STALL_MS : STALL_HLS_MS)) return;
    if (active.recover !== undefined && !this.#recovering) {
      this.#recovering = true;
      this.#lastFrame = now;
      active.recover();
      this.#say('waiting', 'The picture stopped; mending the connection.');
      return;
    }
    active.close();
    this.#failed(active, { kind: 'gone', why: 'The picture stopped; connecting again.' });
  }

  #applyAudio(): void {
    const video = this.#active?.video;
    if (video === undefined) return;
    video.volume = this.#audio.volume;
    video.muted = this.#audio.muted;
    // Unmuting is a click, so playing is allowed; if not, the picture goes on muted.
    if (video.paused) void video.play().catch(() => undefined);
  }

  #drop(which: 'active' | 'candidate'): void {
    const session = which === 'active' ? this.#active : this.#candidate;
    if (which === 'active') this.#active = undefined;
    else this.#candidate = undefined;
    session?.close();
    session?.video.remove();
  }

  #say(phase: PlayerStatus['phase'], why: string): void {
    this.#options.status({ phase, protocol: this.#active?.protocol, why });
  }
}
