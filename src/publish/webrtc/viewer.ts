import { randomBytes, randomInt } from 'node:crypto';
import {
  GenericNack,
  PictureLossIndication,
  ReceiverEstimatedMaxBitrate,
  type RtcpPacket,
  RtcpPayloadSpecificFeedback,
  RtcpRrPacket,
  RtcpSrPacket,
  RtcpTransportLayerFeedback,
} from 'werift';
import { CLOCK_RATE } from '../../contracts/media.ts';
import { now } from '../../contracts/time.ts';
import { type LocalTransport, type Sources, writeAnswer } from './answer.ts';
import { BandwidthEstimate } from './bandwidth.ts';
import type { Fragment } from './fragment.ts';
import type { ViewerReport } from './messages.ts';
import type { Offer } from './offer.ts';
import { Pacer } from './pacer.ts';
import { Peer, type PeerOptions } from './peer.ts';
import { type Payload, RtpStream } from './rtp-stream.ts';

/** A player that offered or restarted ICE and then does not connect is let go after this, ms. */
const CONNECT_TIMEOUT = 15_000;
/** Candidates a player may add to those of its offer. */
const MAX_TRICKLED = 64;
/** One viewer gets a keyframe made at most this often, ms: each costs all viewers of the rendition. */
const KEYFRAME_INTERVAL = 500;
/** RFC 7587, 4.1: the RTP clock of Opus always runs at 48 kHz. */
const OPUS_CLOCK = 48_000;
/** How much faster than its estimate a limited viewer's pictures may leave (libwebrtc's pacing factor). */
const PACING = 2.5;
const UNLIMITED_PACE = 20_000_000;
/** The encoder need not follow one viewer's estimate; slower than its pictures, none would get through whole. */
const LEAST_PACE = 4_000_000;
const CATCH_UP = 1.5;

export interface ViewerEvents {
  connected(): void;
  /** Once, and not for `close()`. */
  ended(cause: string): void;
  keyframe(): void;
}

/** One player: its connection, its streams, and whether it waits for a keyframe. */
export class Viewer {
  readonly id: string;
  readonly #peer: Peer;
  readonly #offer: Offer;
  readonly #events: ViewerEvents;
  readonly #cname = randomBytes(9).toString('base64url');
  readonly #bandwidth = new BandwidthEstimate();
  readonly #pacer: Pacer;
  readonly #video: RtpStream;
  readonly #audio: RtpStream | undefined;
  #trickled = 0;
  #connected = false;
  #waiting = true;
  #keyframeAskedAt = Number.NEGATIVE_INFINITY;
  /** As the player counts them. */
  #lost = 0;
  #reported = { bytesSent: 0, packetsSent: 0, lost: 0 };
  #ended = false;
  #deadline: NodeJS.Timeout | undefined;

  private constructor(id: string, offer: Offer, peer: Peer, events: ViewerEvents) {
    this.id = id;
    this.#offer = offer;
    this.#peer = peer;
    this.#events = events;
    const format = (kind: string) =>
      offer.media.find((media) => media.kind === kind && media.accepted !== undefined)?.accepted;
    const audio = format('audio');
    const send = peer.sendRtp.bind(peer);
    // parseOffer has made sure of video.
    this.#video = new RtpStream(format('video')!, CLOCK_RATE, sources(), send);
    this.#audio = audio === undefined ? undefined : new RtpStream(audio, OPUS_CLOCK, sources(), send);
    this.#pacer = new Pacer((payload, timestamp) => this.#video.send(payload, timestamp));
    this.#expect();
    peer.onRtcp((packet) => this.#receive(packet));
    peer.watch(
      () => this.#connect(),
      (cause) => this.#end(cause),
    );
  }

  /** @returns the viewer and the gateway's transport; its `candidates` are empty when no port was free */
  static async open(
    id: string,
    offer: Offer,
    options: PeerOptions,
    events: ViewerEvents,
  ): Promise<{ viewer: Viewer; local: LocalTransport }> {
    const { peer, local } = await Peer.open(offer, options);
    return { viewer: new Viewer(id, offer, peer, events), local };
  }

  answer(transport: LocalTransport): string {
    const audio = this.#audio?.sources ?? this.#video.sources;
    return writeAnswer(this.#offer, {
      transport,
      cname: this.#cname,
      sources: { video: this.#video.sources, audio },
    });
  }

  restart(fragment: Fragment): Promise<LocalTransport> {
    this.#expect();
    return this.#peer.restart(fragment);
  }

  /** Beyond a bound they are ignored: each makes the gateway send checks to an address the player names. */
  addCandidates(candidates: readonly string[]): Promise<void> {
    const left = MAX_TRICKLED - this.#trickled;
    this.#trickled += candidates.length;
    return this.#peer.addCandidates(candidates.slice(0, Math.max(0, left)));
  }

  /** @param pts output clock, 90 kHz ticks */
  video(payloads: readonly Payload[], pts: number, key: boolean): void {
    if (!this.#connected) return;
    if (this.#pacer.behind) this.gap();
    if (this.#waiting && !key) {
      this.#askKeyframe();
      return;
    }
    this.#waiting = false;
    this.#pacer.push(payloads, pts % 2 ** 32);
  }

  /** @param pts output clock, 90 kHz ticks */
  audio(data: Buffer, pts: number): void {
    if (!this.#connected) return;
    this.#audio?.send({ data, marker: false }, Math.floor((pts * 8) / 15) % 2 ** 32);
  }

  /** What follows does not build on what was sent: nothing more until a keyframe. */
  gap(): void {
    if (!this.#waiting) this.#video.skip();
    this.#waiting = true;
    this.#pacer.clear();
  }

  /** Once a second: sends the sender reports and tells what the player reported. */
  report(): ViewerReport {
    const { bytesSent, packetsSent } = this.#video;
    const bits = (bytesSent - this.#reported.bytesSent) * 8;
    const packets = packetsSent - this.#reported.packetsSent;
    const lost = Math.max(0, this.#lost - this.#reported.lost);
    this.#reported = { bytesSent, packetsSent, lost: this.#reported.lost + lost };
    const bps = this.#bandwidth.update(bits, packets === 0 ? 0 : Math.min(1, lost / packets));
    this.#pacer.rate =
      bps === undefined || !this.#bandwidth.limited
        ? UNLIMITED_PACE
        : Math.max(LEAST_PACE, bps * PACING, bits * CATCH_UP);
    if (this.#connected) this.#sendReports();
    return { id: this.id, lost, bps };
  }

  async close(): Promise<void> {
    this.#ended = true;
    this.#connected = false;
    clearTimeout(this.#deadline);
    this.#pacer.clear();
    await this.#peer.close();
  }

  /** The player has to connect now, or it is let go. */
  #expect(): void {
    clearTimeout(this.#deadline);
    this.#deadline = setTimeout(() => this.#end('player did not connect'), CONNECT_TIMEOUT);
  }

  #connect(): void {
    clearTimeout(this.#deadline);
    if (!this.#connected) this.#events.connected();
    this.#connected = true;
    // What was sent while ICE restarted went nowhere.
    this.gap();
    this.#sendReports();
    this.#askKeyframe();
  }

  #end(cause: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.ended(cause);
  }

  #askKeyframe(): void {
    const now = performance.now();
    if (now - this.#keyframeAskedAt < KEYFRAME_INTERVAL) return;
    this.#keyframeAskedAt = now;
    this.#events.keyframe();
  }

  #sendReports(): void {
    const at = now();
    for (const stream of [this.#video, this.#audio]) {
      if (stream !== undefined) this.#peer.sendRtcp(stream.report(at, this.#cname));
    }
  }

  #receive(packet: RtcpPacket): void {
    const { ssrc } = this.#video.sources;
    if (packet instanceof RtcpRrPacket || packet instanceof RtcpSrPacket) {
      const report = packet.reports.find((block) => block.ssrc === ssrc);
      if (report === undefined) return;
      // 24 bits, signed: duplicates make it negative (RFC 3550, 6.4.1).
      this.#lost = (report.packetsLost << 8) >> 8;
    } else if (packet instanceof RtcpTransportLayerFeedback) {
      const { feedback } = packet;
      if (!(feedback instanceof GenericNack) || feedback.mediaSourceSsrc !== ssrc) return;
      const now = performance.now();
      for (const lost of feedback.lost) this.#video.resend(lost, now);
    } else if (packet instanceof RtcpPayloadSpecificFeedback) {
      const { feedback } = packet;
      if (feedback instanceof PictureLossIndication || 'fir' in feedback) this.#askKeyframe();
      else if (feedback instanceof ReceiverEstimatedMaxBitrate) {
        this.#bandwidth.remb(Number(feedback.bitrate));
      }
    }
  }
}

function sources(): Sources {
  const ssrc = randomInt(1, 2 ** 31);
  return { ssrc, rtxSsrc: ssrc + 2 ** 31 - 1 };
}
