import { randomInt } from 'node:crypto';
import {
  RtcpSenderInfo,
  RtcpSourceDescriptionPacket,
  RtcpSrPacket,
  RtpHeader,
  SourceDescriptionChunk,
  SourceDescriptionItem,
} from 'werift';
import type { Sources } from './answer.ts';
import type { Negotiated } from './offer.ts';

/**
 * Packets kept for retransmission, a power of two: a 1 MB keyframe, or two seconds at 5 Mbit/s. werift's own sender
 * keeps 128, less than one keyframe, and its sender reports carry a wrong NTP fraction, so neither is used.
 */
const HISTORY = 1024;

/** A packet is not sent again sooner than this after the last time, ms: the receiver asks faster than it can know. */
const RESEND_INTERVAL = 20;

/** Retransmissions between two sender reports (a second), so that no receiver can ask for a flood. */
const RESEND_BUDGET = HISTORY / 2;

export interface Payload {
  data: Buffer;
  /** Last packet of its picture. */
  marker: boolean;
}

type Send = (payload: Buffer, header: RtpHeader) => void;

interface Sent extends Payload {
  sequenceNumber: number;
  timestamp: number;
  resentAt: number;
}

/**
 * One RTP stream to one player: numbers packets, keeps the history NACK asks for, and makes the sender reports.
 * RTP timestamps are Unix time on the stream's clock, without the random offset of RFC 3550, 5.1, so that a player
 * can tell from `rtpTimestamp` alone when its picture arrived at the gateway: pts mod 2^32 for video.
 */
export class RtpStream {
  readonly sources: Sources;
  /** Ticks per second. */
  readonly clockRate: number;
  /** Retransmissions included. */
  bytesSent = 0;
  packetsSent = 0;

  readonly #format: Negotiated;
  readonly #send: Send;
  readonly #history: (Sent | undefined)[] = new Array(HISTORY);
  #sequenceNumber = randomInt(0x8000);
  #rtxSequenceNumber = randomInt(0x8000);
  #octets = 0;
  #resends = 0;

  constructor(format: Negotiated, clockRate: number, sources: Sources, send: Send) {
    this.#format = format;
    this.clockRate = clockRate;
    this.sources = sources;
    this.#send = send;
  }

  send({ data, marker }: Payload, timestamp: number): void {
    const sequenceNumber = this.#sequenceNumber;
    this.#sequenceNumber = (sequenceNumber + 1) & 0xffff;
    this.packetsSent++;
    this.#octets += data.length;
    if (this.#format.rtxPayloadType !== undefined) {
      this.#history[sequenceNumber % HISTORY] = { data, marker, sequenceNumber, timestamp, resentAt: 0 };
    }
    const { payloadType } = this.#format;
    this.#write(data, { payloadType, ssrc: this.sources.ssrc, sequenceNumber, timestamp, marker });
  }

  /** Leaves a hole in the sequence, so that the receiver knows that what came before is incomplete. */
  skip(): void {
    this.#sequenceNumber = (this.#sequenceNumber + 1) & 0xffff;
  }

  /** Sends a lost packet again (RFC 4588) if it is still known. */
  resend(lost: number, now: number): void {
    const { rtxPayloadType } = this.#format;
    const sent = this.#history[lost % HISTORY];
    if (rtxPayloadType === undefined || sent?.sequenceNumber !== lost) return;
    if (now - sent.resentAt < RESEND_INTERVAL || this.#resends >= RESEND_BUDGET) return;
    this.#resends++;
    sent.resentAt = now;
    const data = Buffer.allocUnsafe(sent.data.length + 2);
    data.writeUInt16BE(lost, 0);
    data.set(sent.data, 2);
    const sequenceNumber = this.#rtxSequenceNumber;
    this.#rtxSequenceNumber = (sequenceNumber + 1) & 0xffff;
    const { timestamp, marker } = sent;
    this.#write(data, {
      payloadType: rtxPayloadType,
      ssrc: this.sources.rtxSsrc,
      sequenceNumber,
      timestamp,
      marker,
    });
  }

  /**
   * A sender report (RFC 3550, 6.4.1) saying that Unix time `now` (ms) is `now` on this stream's clock; the same for
   * every stream of a player, so that it plays them in step.
   */
  report(now: number, cname: string): [RtcpSrPacket, RtcpSourceDescriptionPacket] {
    const { ssrc } = this.sources;
    this.#resends = 0;
    return [
      new RtcpSrPacket({
        ssrc,
        senderInfo: new RtcpSenderInfo({
          ntpTimestamp: ntp(now),
          rtpTimestamp: Math.round((now * this.clockRate) / 1000) % 2 ** 32,
          packetCount: this.packetsSent % 2 ** 32,
          octetCount: this.#octets % 2 ** 32,
        }),
      }),
      new RtcpSourceDescriptionPacket({
        chunks: [
          new SourceDescriptionChunk({
            source: ssrc,
            items: [new SourceDescriptionItem({ type: 1, text: cname })],
          }),
        ],
      }),
    ];
  }

  #write(data: Buffer, fields: Partial<RtpHeader>): void {
    this.bytesSent += data.length;
    const { absSendTime } = this.#format;
    const extensions = absSendTime === undefined ? [] : [{ id: absSendTime, payload: sendTime() }];
    this.#send(data, new RtpHeader({ ...fields, extensions }));
  }
}

/** Unix ms as a 64-bit NTP timestamp: seconds since 1900 in 32.32 fixed point (RFC 5905). */
export function ntp(unixMs: number): bigint {
  const seconds = Math.floor(unixMs / 1000);
  const fraction = Math.floor(((unixMs - seconds * 1000) / 1000) * 2 ** 32);
  return (BigInt(seconds + 2_208_988_800) << 32n) | BigInt(fraction);
}

/** abs-send-time: seconds in 6.18 fixed point, of any epoch. */
function sendTime(): Buffer {
  const time = Buffer.allocUnsafe(3);
  time.writeUIntBE(Math.floor(performance.now() * 262.144) % 2 ** 24, 0, 3);
  return time;
}
