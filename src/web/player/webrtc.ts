import type { Rendition } from '../../contracts/media.ts';
import { ApiError, request } from '../core/api.ts';
import { arrivalOfRtp } from './glass.ts';
import { candidatesOf, fragment, iceServers, restarted } from './sdp.ts';
import { type Failure, makeVideo, type Session, type SessionOptions } from './session.ts';

/** Host candidates are there at once; a slow STUN server's follow by PATCH. */
const GATHER_MS = 300;
/** How long ICE may be disconnected before it is restarted, and a restart may take before giving up. */
const DISCONNECTED_MS = 1_500;
const RESTART_MS = 5_000;
const SDPFRAG = 'application/trickle-ice-sdpfrag';

/** Learnt from the last answer's Link headers, for the next connection. */
let knownServers: RTCIceServer[] = [];

export function failureOf(error: unknown): Failure {
  if (!(error instanceof ApiError)) {
    return { kind: 'unusable', why: error instanceof Error ? error.message : String(error) };
  }
  const { message: why, status, code, retryAfter } = error;
  if (status === 0) return { kind: 'gone', why: 'The request for WebRTC (/whep) got no answer.' };
  if (code === 'FOREIGN') {
    // What a proxy refuses is refused for /whep, not for this camera.
    return {
      kind: status === 502 || status === 504 ? 'gone' : 'unusable',
      why: `The request for WebRTC (/whep) was answered with ${status}, but not by the gateway: a proxy on the way?`,
    };
  }
  if (status === 401 || status === 403) return { kind: 'refused', why };
  if (code === 'CLEARWAY_STREAM_OFFLINE' || code === 'CLEARWAY_STREAM_NOT_FOUND')
    return { kind: 'offline', why, retryAfter };
  return { kind: 'unusable', why, retryAfter };
}

/** A WHEP viewer (draft-ietf-wish-whep-04): offers recvonly, trickles what comes late, restarts ICE, says goodbye. */
export class WebrtcSession implements Session {
  readonly protocol = 'webrtc';
  readonly rendition: Rendition;
  readonly video = makeVideo();
  readonly #options: SessionOptions;
  /** Missing where the browser has WebRTC switched off: the session fails at once. */
  readonly #pc!: RTCPeerConnection;
  readonly #abort = new AbortController();
  #resource: string | undefined;
  #etag: string | null = null;
  #answer = '';
  #late: string[] = [];
  #timer = 0;
  #closed = false;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.rendition = options.rendition;
    if (!('RTCPeerConnection' in window)) {
      // Not before whoever made the session knows it.
      queueMicrotask(() => this.#fail({ kind: 'unusable', why: 'This browser has WebRTC switched off.' }));
      return;
    }
    this.#pc = new RTCPeerConnection({ iceServers: knownServers, bundlePolicy: 'max-bundle' });
    this.#open().catch((error: unknown) => this.#fail(failureOf(error)));
    addEventListener('pagehide', () => this.close(), { signal: this.#abort.signal });
  }

  arrival(frame: VideoFrameCallbackMetadata, gatewayNow: number): number | undefined {
    return frame.rtpTimestamp === undefined ? undefined : arrivalOfRtp(frame.rtpTimestamp, gatewayNow);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#abort.abort();
    this.#pc?.close();
    this.video.srcObject = null;
    this.#forget();
  }

  async #open(): Promise<void> {
    const pc = this.#pc;
    const media = new MediaStream();
    pc.ontrack = ({ track, receiver }) => {
      receiver.jitterBufferTarget = 0;
      if (track.kind === 'audio') {
        this.video.onvolumechange = () => this.#connectSound(media, track);
        this.#connectSound(media, track);
      } else media.addTrack(track);
      this.video.srcObject = media;
    };
    pc.oniceconnectionstatechange = () => this.#iceChanged();
    pc.onicecandidate = ({ candidate }) => this.#trickle(candidate);
    pc.addTransceiver('video', { direction: 'recvonly' });
    pc.addTransceiver('audio', { direction: 'recvonly' });
    await pc.setLocalDescription();
    await this.#gathered();

    const { stream, rendition } = this.#options;
    const response = await request(`/whep/${encodeURIComponent(stream)}?rendition=${rendition}`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: pc.localDescription?.sdp ?? '',
      signal: this.#abort.signal,
    });
    if (!response.headers.get('content-type')?.startsWith('application/sdp')) {
      throw new ApiError(response.status, 'FOREIGN', 'This is no SDP.');
    }
    const location = response.headers.get('location');
    this.#resource = location === null ? undefined : new URL(location, response.url).href;
    this.#etag = response.headers.get('etag');
    knownServers = iceServers(response.headers.get('link'));
    this.#answer = await response.text();
    if (this.#closed) return this.#forget();
    await pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
    if (this.#late.length > 0) this.#sendLate();
  }

  /** A muted viewer does not wait for sound: the browser holds pictures back until theirs is there. */
  #connectSound(media: MediaStream, sound: MediaStreamTrack): void {
    if (this.video.muted) media.removeTrack(sound);
    else media.addTrack(sound);
  }

  #gathered(): Promise<void> {
    const pc = this.#pc;
    if (pc.iceGatheringState === 'complete') return Promise.resolve();
    return new Promise((resolve) => {
      const timer = window.setTimeout(resolve, GATHER_MS);
      pc.onicegatheringstatechange = () => {
        if (pc.iceGatheringState !== 'complete') return;
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Candidates found after the offer went out follow it. */
  #trickle(candidate: RTCIceCandidate | null): void {
    if (candidate === null || candidate.candidate === '' || this.#answer === '') return;
    this.#late.push(candidate.candidate);
    if (this.#late.length === 1) queueMicrotask(() => this.#sendLate());
  }

  #sendLate(): void {
    const body = fragment(this.#pc.localDescription?.sdp ?? '', this.#late.splice(0));
    // A candidate that does not get there costs a path, not the session.
    this.#patch(body, this.#etag ?? '*').catch(() => undefined);
  }

  async #patch(body: string, ifMatch: string): Promise<Response> {
    if (this.#resource === undefined) throw new ApiError(404, 'CLEARWAY_SESSION_NOT_FOUND', 'No session.');
    return request(this.#resource, {
      method: 'PATCH',
      headers: { 'content-type': SDPFRAG, 'if-match': ifMatch },
      body,
      signal: this.#abort.signal,
    });
  }

  #iceChanged(): void {
    const state = this.#pc.iceConnectionState;
    if (state === 'connected' || state === 'completed') clearTimeout(this.#timer);
    else if (state === 'disconnected') {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(() => this.recover(), DISCONNECTED_MS);
    } else if (state === 'failed') {
      this.#fail({ kind: 'unusable', why: 'No network path for WebRTC (ICE failed).' });
    }
  }

  recover(): void {
    if (!this.#closed) void this.#restartIce();
  }

  /** RFC 8445 restart over PATCH: new credentials here, new ones back, the same media session. */
  async #restartIce(): Promise<void> {
    try {
      clearTimeout(this.#timer);
      this.#timer = window.setTimeout(
        () => this.#fail({ kind: 'gone', why: 'The WebRTC connection broke.' }),
        RESTART_MS,
      );
      await this.#pc.setLocalDescription(await this.#pc.createOffer({ iceRestart: true }));
      await this.#gathered();
      const local = this.#pc.localDescription?.sdp ?? '';
      const response = await this.#patch(fragment(local, candidatesOf(local)), '*');
      this.#etag = response.headers.get('etag') ?? this.#etag;
      this.#answer = restarted(this.#answer, await response.text());
      await this.#pc.setRemoteDescription({ type: 'answer', sdp: this.#answer });
    } catch (error) {
      const failure = failureOf(error);
      // A session the gateway no longer knows means that the gateway restarted: a new one works.
      this.#fail(failure.kind === 'refused' ? failure : { ...failure, kind: 'gone' });
    }
  }

  #forget(): void {
    if (this.#resource === undefined) return;
    fetch(this.#resource, { method: 'DELETE', keepalive: true }).catch(() => undefined);
    this.#resource = undefined;
  }

  #fail(failure: Failure): void {
    if (this.#closed) return;
    this.close();
    this.#options.failed(failure);
  }
}
