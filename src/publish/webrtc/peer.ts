import { isIP } from 'node:net';
import {
  type Event,
  type RTCDtlsTransport,
  RTCPeerConnection,
  type RtcpPacket,
  type RtpHeader,
  useH264,
  useOPUS,
} from 'werift';
import type { LocalTransport } from './answer.ts';
import { hostCandidates } from './candidates.ts';
import type { Fragment } from './fragment.ts';
import type { IceCredentials, Offer } from './offer.ts';

export interface PeerOptions {
  /** Addresses offered to players, the preferred first. */
  addresses: readonly string[];
  /** UDP ports this peer may use, both ends included. */
  ports: [number, number];
  /** STUN server, `stun:host:port`, that tells this peer its public address. */
  stun?: string;
}

/** Seconds to wait for the STUN server: a viewer waits as long for its answer. */
const STUN_TIMEOUT = 1;

/**
 * The gateway's end of one connection: ICE, DTLS and SRTP by werift; descriptions, RTP and RTCP by this folder. Every
 * use of werift's connection is in this file, and of it only what its types make public.
 */
export class Peer {
  readonly #connection: RTCPeerConnection;
  readonly #offer: Offer;
  readonly #options: PeerOptions;
  #closing: Promise<void> | undefined;

  private constructor(offer: Offer, options: PeerOptions) {
    this.#offer = offer;
    this.#options = options;
    const sockets = [4, 6].flatMap((family) => options.addresses.find((a) => isIP(a) === family) ?? []);
    this.#connection = new RTCPeerConnection({
      bundlePolicy: 'max-bundle',
      codecs: { video: [useH264()], audio: [useOPUS()] },
      iceServers: options.stun === undefined ? [] : [{ urls: options.stun }],
      iceStunGatherTimeout: STUN_TIMEOUT,
      // werift opens a socket per address, each bound to every address of its family: one per family is enough.
      iceUseIpv4: false,
      iceUseIpv6: false,
      iceAdditionalHostAddresses: sockets,
      icePortRange: options.ports,
    });
    for (const { kind, accepted } of offer.media) {
      if (accepted !== undefined && (kind === 'video' || kind === 'audio')) {
        this.#connection.addTransceiver(kind, { direction: 'sendonly' });
      }
    }
  }

  /**
   * Opens a connection to the player that made the offer and gathers its candidates; `candidates` is empty when no
   * port was free.
   */
  static async open(offer: Offer, options: PeerOptions): Promise<{ peer: Peer; local: LocalTransport }> {
    const peer = new Peer(offer, options);
    try {
      return { peer, local: await peer.#negotiate(offer.ice, offer.candidates) };
    } catch (error) {
      await peer.close();
      throw error;
    }
  }

  /** Restarts ICE (RFC 8445, 9) with the player's new credentials; DTLS and SRTP go on. */
  async restart({ ice, candidates }: Fragment): Promise<LocalTransport> {
    const local = await this.#negotiate(ice, candidates);
    // werift answers a restart but does not begin its checks while DTLS is up; a failure shows in the ICE state.
    const { state, iceTransport } = this.#transport;
    if (state === 'connected') iceTransport.start().catch(() => {});
    return local;
  }

  /** Adds candidates trickled by the player. */
  async addCandidates(candidates: readonly string[]): Promise<void> {
    for (const candidate of candidates)
      await this.#connection.addIceCandidate({ candidate, sdpMLineIndex: 0 });
  }

  /** Fire and forget: UDP, and werift reports no failure. */
  sendRtp(payload: Buffer, header: RtpHeader): void {
    void this.#transport.sendRtp(payload, header);
  }

  sendRtcp(packets: RtcpPacket[]): void {
    this.#transport.sendRtcp(packets).catch(() => {});
  }

  onRtcp(listener: (packet: RtcpPacket) => void): void {
    this.#transport.onRtcp.subscribe(listener);
  }

  /** `connected` when media can flow, again after an ICE restart; `ended` with the cause when the player is gone. */
  watch(connected: () => void, ended: (cause: string) => void): void {
    watch(this.#transport.onStateChange, (state) => {
      if (state === 'connected') connected();
      else if (state === 'failed') ended('DTLS failed');
      else if (state === 'closed') ended('player closed the connection');
    });
    watch(this.#connection.iceConnectionStateChange, (state) => {
      if (state === 'failed') ended('player stopped answering (RFC 7675)');
      else if (state === 'closed') ended('connection closed');
      else if (state === 'connected' && this.#transport.state === 'connected') connected();
    });
  }

  /** Closes every socket. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#connection.close();
    return this.#closing;
  }

  get #transport(): RTCDtlsTransport {
    return this.#connection.dtlsTransports[0]!;
  }

  async #negotiate(ice: IceCredentials, candidates: readonly string[]): Promise<LocalTransport> {
    const connection = this.#connection;
    await connection.setRemoteDescription({ type: 'offer', sdp: this.#remoteSdp(ice, candidates) });
    // werift would be the DTLS client, and waits 100 ms before its hello; a player may be it at once.
    this.#transport.role = this.#offer.setup === 'passive' ? 'client' : 'server';
    const answer = await connection.createAnswer();
    // werift falls back to a public STUN server when none is configured; nobody asked for that.
    if (this.#options.stun === undefined) delete this.#transport.iceTransport.connection.stunServer;
    await connection.setLocalDescription(answer);
    return this.#local();
  }

  #local(): LocalTransport {
    const { iceTransport, localParameters } = this.#transport;
    const { usernameFragment, password } = iceTransport.localParameters;
    const found = iceTransport.localCandidates;
    const ports: { 4?: number; 6?: number } = {};
    for (const { ip, port, type } of found) if (type === 'host') ports[isIP(ip) === 6 ? 6 : 4] = port;
    const reflexive = found
      .filter(({ type }) => type === 'srflx')
      .map((c, i) => `${100 + i} 1 udp ${c.priority} ${c.ip} ${c.port} typ srflx raddr 0.0.0.0 rport 9`);
    return {
      ice: { ufrag: usernameFragment, pwd: password },
      fingerprint: localParameters.fingerprints[0]!,
      setup: this.#offer.setup === 'passive' ? 'active' : 'passive',
      candidates: [...hostCandidates(this.#options.addresses, ports), ...reflexive],
    };
  }

  /** The player's offer as werift gets it: only what was checked. */
  #remoteSdp(ice: IceCredentials, candidates: readonly string[]): string {
    const { fingerprint, setup, media } = this.#offer;
    const accepted = media.flatMap((m) => (m.accepted ? [{ ...m, format: m.accepted }] : []));
    const lines = [
      'v=0',
      'o=- 0 0 IN IP4 127.0.0.1',
      's=-',
      't=0 0',
      `a=group:BUNDLE ${accepted.map(({ mid }) => mid).join(' ')}`,
      ...accepted.flatMap(({ kind, mid, format: { payloadType } }, index) => [
        `m=${kind} 9 UDP/TLS/RTP/SAVPF ${payloadType}`,
        'c=IN IP4 0.0.0.0',
        `a=ice-ufrag:${ice.ufrag}`,
        `a=ice-pwd:${ice.pwd}`,
        `a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`,
        `a=setup:${setup}`,
        `a=mid:${mid}`,
        'a=recvonly',
        'a=rtcp-mux',
        `a=rtpmap:${payloadType} ${kind === 'video' ? 'H264/90000' : 'opus/48000/2'}`,
        ...(index === 0 ? candidates.map((candidate) => `a=candidate:${candidate}`) : []),
      ]),
    ];
    return `${lines.join('\r\n')}\r\n`;
  }
}

function watch<T>(event: Event<[T]>, listener: (value: T) => void): void {
  event.subscribe(listener);
}
