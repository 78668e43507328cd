import { ClearwayError } from '../../contracts/errors.ts';
import { usableCandidates } from './candidates.ts';

/** ICE username fragment and password (RFC 8839). */
export interface IceCredentials {
  ufrag: string;
  pwd: string;
}

/** The one format the gateway sends in a media section. */
export interface Negotiated {
  payloadType: number;
  /** Payload type of retransmissions (RFC 4588), when the player takes them for this format. */
  rtxPayloadType?: number;
  /** The `a=fmtp` value as offered. */
  fmtp?: string;
  /** Whether the player sends goog-remb. */
  remb: boolean;
  /** Id of the abs-send-time header extension, when offered. */
  absSendTime?: number;
}

export interface OfferedMedia {
  kind: string;
  protocol: string;
  mid: string;
  /** Absent when the section is rejected: not audio or video, a second one of its kind, or no common format. */
  accepted?: Negotiated;
}

/** What the gateway needs of a player's offer, checked; nothing else of its text travels further. */
export interface Offer {
  /** Every section, in the order of the offer. */
  media: OfferedMedia[];
  ice: IceCredentials;
  fingerprint: { algorithm: string; value: string };
  setup: 'actpass' | 'active' | 'passive';
  candidates: string[];
}

const MAX_SECTIONS = 16;
export const UFRAG = /^[A-Za-z0-9+/=_-]{4,256}$/;
export const PWD = /^[A-Za-z0-9+/=_-]{22,256}$/;
const MID = /^[\w!#$%&'*+.^`{|}~-]{1,32}$/;
const FINGERPRINT = /^(sha-(?:1|224|256|384|512)) ((?:[0-9A-F]{2}:){19,63}[0-9A-F]{2})$/i;
export const ABS_SEND_TIME = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time';
/** H.264 profiles that decode constrained baseline, the nearest first. */
const PROFILES = ['42e0', '42c0', '4200', '4d00', '4d40', '4de0', '6400', '640c'];

interface Section {
  line: string;
  /** Values by name: an offer may have ten thousand lines, and is asked for a few names hundreds of times. */
  attributes: Map<string, string[]>;
}

/**
 * Reads a WHEP offer (RFC 8866, RFC 9429, draft-ietf-wish-whep-04): one bundle, rtcp-mux, at least one video section
 * that takes H.264 with packetization-mode 1.
 * @throws ClearwayError CLEARWAY_SDP_INVALID (400) when it is not such SDP, CLEARWAY_OFFER_UNSUPPORTED (422) when it
 * is, but there is nothing in it the gateway can send.
 */
export function parseOffer(sdp: string): Offer {
  const [session, ...sections] = split(sdp);
  if (sections.length === 0) throw invalid('it has no media section');
  if (sections.length > MAX_SECTIONS) throw invalid(`it has more than ${MAX_SECTIONS} media sections`);

  const bundle = new Set(
    values(session!, 'group')
      .find((group) => group.startsWith('BUNDLE '))
      ?.split(' ')
      .slice(1),
  );
  const taken = new Set<string>();
  const media = sections.map((section): OfferedMedia => {
    const { media, section: parsed } = readSection(section);
    if (taken.has(media.kind) || !bundle.has(media.mid)) return media;
    const accepted = negotiate(media, parsed);
    if (accepted === undefined) return media;
    taken.add(media.kind);
    return { ...media, accepted };
  });
  if (new Set(media.map(({ mid }) => mid)).size !== media.length) throw invalid('two sections have one mid');
  if (!taken.has('video')) {
    throw new ClearwayError(
      'CLEARWAY_OFFER_UNSUPPORTED',
      'The offer takes no video the gateway sends: offer a bundled, recvonly video section with H.264, packetization-mode=1.',
      { status: 422 },
    );
  }

  // Bundled sections share the transport of the first accepted one; browsers repeat its attributes in each.
  const first = sections[media.findIndex(({ accepted }) => accepted !== undefined)]!;
  const transport = (name: string) => values(first, name)[0] ?? values(session!, name)[0] ?? '';
  const ufrag = transport('ice-ufrag');
  const pwd = transport('ice-pwd');
  if (!UFRAG.test(ufrag) || !PWD.test(pwd)) throw invalid('its ICE credentials are missing or malformed');
  const [, algorithm, value] = FINGERPRINT.exec(transport('fingerprint')) ?? [];
  if (algorithm === undefined || value === undefined) {
    throw invalid('its DTLS fingerprint is missing or malformed');
  }
  const setup = transport('setup');
  if (setup !== 'actpass' && setup !== 'active' && setup !== 'passive') throw invalid('it has no DTLS setup');
  return {
    media,
    ice: { ufrag, pwd },
    fingerprint: { algorithm: algorithm.toLowerCase(), value: value.toUpperCase() },
    setup,
    candidates: usableCandidates(values(first, 'candidate')),
  };
}

function split(sdp: string): Section[] {
  const lines = sdp.split(/\r?\n/);
  if (lines[0] !== 'v=0') throw invalid('it does not begin with v=0');
  const sections: Section[] = [{ line: '', attributes: new Map() }];
  for (const line of lines) {
    if (line === '') continue;
    if (!/^[a-z]=/.test(line)) throw invalid('a line is not of the form x=value');
    if (line.startsWith('m=')) sections.push({ line: line.slice(2), attributes: new Map() });
    if (!line.startsWith('a=')) continue;
    const colon = line.indexOf(':');
    const [name, value] = colon < 0 ? [line.slice(2), ''] : [line.slice(2, colon), line.slice(colon + 1)];
    const { attributes } = sections.at(-1)!;
    const known = attributes.get(name);
    if (known) known.push(value.trim());
    else attributes.set(name, [value.trim()]);
  }
  return sections;
}

function values(section: Section, name: string): string[] {
  return section.attributes.get(name) ?? [];
}

interface ParsedSection {
  port: number;
  formats: Set<number>;
  attributes: Section;
}

function readSection(section: Section): { media: OfferedMedia; section: ParsedSection } {
  const [kind = '', port = '', protocol = '', ...formats] = section.line.split(' ');
  const mid = values(section, 'mid')[0] ?? '';
  if (!/^[a-z]{1,16}$/.test(kind) || !/^\d{1,5}$/.test(port) || !/^[A-Z/]{1,32}$/i.test(protocol)) {
    throw invalid('a media line is malformed');
  }
  if (!MID.test(mid)) throw invalid('a media section has no valid mid');
  return {
    media: { kind, protocol, mid },
    section: { port: Number(port), formats: new Set(formats.map(Number)), attributes: section },
  };
}

function negotiate(media: OfferedMedia, section: ParsedSection): Negotiated | undefined {
  const { attributes } = section;
  const receives = !['sendonly', 'inactive'].some((name) => values(attributes, name).length > 0);
  // A bundled section may carry port 0 only together with bundle-only (RFC 9143); otherwise it is switched off.
  const on = section.port !== 0 || values(attributes, 'bundle-only').length > 0;
  if (!receives || !on || media.protocol !== 'UDP/TLS/RTP/SAVPF') return undefined;
  if (values(attributes, 'rtcp-mux').length === 0) return undefined;

  const payloadType =
    media.kind === 'video'
      ? chooseH264(section)
      : media.kind === 'audio'
        ? formatOf(section, /^opus\/48000\/2$/i)
        : undefined;
  if (payloadType === undefined) return undefined;
  const fmtp = fmtpOf(attributes, payloadType);
  const rtxPayloadType = payloadTypes(section, /^rtx\/90000$/i).find((rtx) =>
    fmtpOf(attributes, rtx)?.split(';').includes(`apt=${payloadType}`),
  );
  const feedback = values(attributes, 'rtcp-fb');
  const absSendTime = values(attributes, 'extmap')
    .map((value) => value.split(' '))
    .find(([, uri]) => uri === ABS_SEND_TIME)?.[0];
  const extension = Number.parseInt(absSendTime ?? '', 10);
  return {
    payloadType,
    ...(rtxPayloadType === undefined || media.kind === 'audio' ? {} : { rtxPayloadType }),
    ...(fmtp === undefined ? {} : { fmtp }),
    remb: feedback.includes(`${payloadType} goog-remb`) || feedback.includes('* goog-remb'),
    ...(extension >= 1 && extension <= 14 ? { absSendTime: extension } : {}),
  };
}

/** The offered H.264 format with packetization-mode 1 whose profile is nearest to constrained baseline. */
function chooseH264(section: ParsedSection): number | undefined {
  const ranked = payloadTypes(section, /^H264\/90000$/i).flatMap((payloadType) => {
    const fmtp = fmtpOf(section.attributes, payloadType)?.toLowerCase() ?? '';
    const profile = /(?:^|;)\s*profile-level-id=([0-9a-f]{4})[0-9a-f]{2}/.exec(fmtp)?.[1] ?? '4200';
    const rank = PROFILES.indexOf(profile);
    return rank >= 0 && /(?:^|;)\s*packetization-mode=1(?:;|$)/.test(fmtp) ? [{ payloadType, rank }] : [];
  });
  return ranked.sort((a, b) => a.rank - b.rank)[0]?.payloadType;
}

function formatOf(section: ParsedSection, encoding: RegExp): number | undefined {
  return payloadTypes(section, encoding)[0];
}

/** Each once, however often the offer says so. */
function payloadTypes({ formats, attributes }: ParsedSection, encoding: RegExp): number[] {
  const found = values(attributes, 'rtpmap').flatMap((value) => {
    const [payloadType, name = ''] = value.split(' ');
    const number = Number(payloadType);
    return encoding.test(name) && formats.has(number) && number >= 0 && number < 128 ? [number] : [];
  });
  return [...new Set(found)];
}

function fmtpOf(section: Section, payloadType: number): string | undefined {
  const fmtp = values(section, 'fmtp').find((value) => value.startsWith(`${payloadType} `));
  const value = fmtp?.slice(String(payloadType).length + 1);
  return value !== undefined && /^[\w\-=;, ./+]{1,256}$/.test(value) ? value : undefined;
}

function invalid(what: string): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_SDP_INVALID',
    `The offer cannot be used: ${what}. Send the SDP of an RTCPeerConnection with recvonly transceivers.`,
    { status: 400 },
  );
}
