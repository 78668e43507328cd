import {
  ABS_SEND_TIME,
  type IceCredentials,
  type Negotiated,
  type Offer,
  type OfferedMedia,
} from './offer.ts';

/** Synchronisation sources of one media section: the media's and its retransmissions'. */
export interface Sources {
  ssrc: number;
  rtxSsrc: number;
}

/** The gateway's side of a peer connection, as its answer tells it. */
export interface LocalTransport {
  ice: IceCredentials;
  fingerprint: { algorithm: string; value: string };
  setup: 'active' | 'passive';
  candidates: string[];
}

export interface AnswerOptions {
  transport: LocalTransport;
  cname: string;
  sources: { video: Sources; audio: Sources };
}

/**
 * The answer to a player's offer (RFC 9429, 5.3; draft-ietf-wish-whep-04): sendonly, bundled, every candidate in it,
 * one MediaStream for video and audio.
 */
export function writeAnswer(offer: Offer, options: AnswerOptions): string {
  const { transport } = options;
  const accepted = offer.media.filter((media) => media.accepted !== undefined);
  const lines = [
    'v=0',
    `o=- ${Date.now()} 1 IN IP4 127.0.0.1`,
    's=-',
    't=0 0',
    `a=group:BUNDLE ${accepted.map(({ mid }) => mid).join(' ')}`,
    'a=msid-semantic: WMS clearway',
  ];
  for (const media of offer.media) {
    if (media.accepted === undefined) lines.push(...rejected(media));
    else {
      const candidates = media === accepted[0] ? transport.candidates : [];
      lines.push(...section(media, media.accepted, { ...transport, candidates }, options));
    }
  }
  return `${lines.join('\r\n')}\r\n`;
}

function rejected({ kind, protocol, mid }: OfferedMedia): string[] {
  return [`m=${kind} 0 ${protocol} 0`, 'c=IN IP4 0.0.0.0', `a=mid:${mid}`, 'a=inactive'];
}

function section(
  media: OfferedMedia,
  format: Negotiated,
  transport: LocalTransport,
  options: AnswerOptions,
): string[] {
  const { payloadType, rtxPayloadType: rtx } = format;
  const video = media.kind === 'video';
  const { ssrc, rtxSsrc } = video ? options.sources.video : options.sources.audio;
  return [
    `m=${media.kind} 9 UDP/TLS/RTP/SAVPF ${payloadType}${rtx === undefined ? '' : ` ${rtx}`}`,
    'c=IN IP4 0.0.0.0',
    'a=rtcp:9 IN IP4 0.0.0.0',
    ...transportLines(transport),
    `a=mid:${media.mid}`,
    'a=sendonly',
    'a=rtcp-mux',
    'a=rtcp-rsize',
    `a=rtpmap:${payloadType} ${video ? 'H264/90000' : 'opus/48000/2'}`,
    ...(format.fmtp === undefined ? [] : [`a=fmtp:${payloadType} ${format.fmtp}`]),
    ...(video ? videoLines(format, rtx) : []),
    ...(format.absSendTime === undefined ? [] : [`a=extmap:${format.absSendTime} ${ABS_SEND_TIME}`]),
    `a=msid:clearway ${media.kind}`,
    ...(rtx === undefined ? [] : [`a=ssrc-group:FID ${ssrc} ${rtxSsrc}`]),
    ...(rtx === undefined ? [ssrc] : [ssrc, rtxSsrc]).map(
      (source) => `a=ssrc:${source} cname:${options.cname}`,
    ),
  ];
}

/** Without RTX nothing is retransmitted, so NACK is not asked for either: a lost packet costs a keyframe. */
function videoLines({ payloadType, remb }: Negotiated, rtx: number | undefined): string[] {
  return [
    `a=rtcp-fb:${payloadType} nack pli`,
    `a=rtcp-fb:${payloadType} ccm fir`,
    ...(remb ? [`a=rtcp-fb:${payloadType} goog-remb`] : []),
    ...(rtx === undefined
      ? []
      : [`a=rtcp-fb:${payloadType} nack`, `a=rtpmap:${rtx} rtx/90000`, `a=fmtp:${rtx} apt=${payloadType}`]),
  ];
}

function transportLines({ ice, fingerprint, setup, candidates }: LocalTransport): string[] {
  return [
    `a=ice-ufrag:${ice.ufrag}`,
    `a=ice-pwd:${ice.pwd}`,
    'a=ice-options:trickle',
    `a=fingerprint:${fingerprint.algorithm} ${fingerprint.value}`,
    `a=setup:${setup}`,
    ...candidates.map((candidate) => `a=candidate:${candidate}`),
    ...(candidates.length > 0 ? ['a=end-of-candidates'] : []),
  ];
}
