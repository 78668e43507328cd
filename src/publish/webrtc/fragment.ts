import { ClearwayError } from '../../contracts/errors.ts';
import { usableCandidates } from './candidates.ts';
import { type IceCredentials, PWD, UFRAG } from './offer.ts';

/** A trickle ICE fragment (RFC 8840): candidates, and the credentials they belong to. */
export interface Fragment {
  ice: IceCredentials;
  candidates: string[];
}

/**
 * Reads `application/trickle-ice-sdpfrag`.
 * @throws ClearwayError CLEARWAY_SDP_INVALID (400)
 */
export function parseFragment(text: string): Fragment {
  const lines = text.split(/\r?\n/);
  const values = (name: string) =>
    lines.filter((line) => line.startsWith(`a=${name}:`)).map((line) => line.slice(name.length + 3).trim());
  const [ufrag = ''] = values('ice-ufrag');
  const [pwd = ''] = values('ice-pwd');
  if (!UFRAG.test(ufrag) || !PWD.test(pwd)) {
    throw new ClearwayError(
      'CLEARWAY_SDP_INVALID',
      'The fragment cannot be used: its ICE credentials are missing or malformed. Send a=ice-ufrag and a=ice-pwd with the candidates (RFC 8840).',
      { status: 400 },
    );
  }
  return { ice: { ufrag, pwd }, candidates: usableCandidates(values('candidate')) };
}

/** The gateway's answer to an ICE restart: its new credentials and all its candidates. */
export function writeFragment({ ice, candidates }: Fragment, kind: string, mid: string): string {
  const lines = [
    `a=ice-ufrag:${ice.ufrag}`,
    `a=ice-pwd:${ice.pwd}`,
    `m=${kind} 9 UDP/TLS/RTP/SAVPF 0`,
    `a=mid:${mid}`,
    ...candidates.map((candidate) => `a=candidate:${candidate}`),
    'a=end-of-candidates',
  ];
  return `${lines.join('\r\n')}\r\n`;
}
