/** The ICE credentials of a description: of its session level or first media section. */
export function credentials(sdp: string): { ufrag: string; pwd: string } {
  return {
    ufrag: /^a=ice-ufrag:(\S+)/m.exec(sdp)?.[1] ?? '',
    pwd: /^a=ice-pwd:(\S+)/m.exec(sdp)?.[1] ?? '',
  };
}

/** A trickle-ice-sdpfrag body (RFC 8840) with the local credentials and candidates of the bundled section. */
export function fragment(local: string, candidates: string[]): string {
  const { ufrag, pwd } = credentials(local);
  const media = /^m=\S+/m.exec(local)?.[0] ?? 'm=video';
  const mid = /^a=mid:(\S+)/m.exec(local)?.[1] ?? '0';
  return [
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    `${media} 9 UDP/TLS/RTP/SAVPF 0`,
    `a=mid:${mid}`,
    ...candidates.map((candidate) => `a=${candidate}`),
    '',
  ].join('\r\n');
}

/** Candidate lines of a description, without `a=`. */
export const candidatesOf = (sdp: string): string[] => sdp.match(/(?<=^a=)candidate:[^\r\n]+/gm) ?? [];

/** The answer of before with the ICE credentials and candidates that the server's restart fragment brings. */
export function restarted(answer: string, serverFragment: string): string {
  const { ufrag, pwd } = credentials(serverFragment);
  const fresh = candidatesOf(serverFragment);
  let placed = fresh.length === 0;
  const lines: string[] = [];
  for (const line of answer.split(/\r\n/)) {
    if (line.startsWith('a=ice-ufrag:')) lines.push(`a=ice-ufrag:${ufrag}`);
    else if (line.startsWith('a=ice-pwd:')) {
      lines.push(`a=ice-pwd:${pwd}`);
      if (!placed && lines.some((earlier) => earlier.startsWith('m='))) {
        lines.push(...fresh.map((candidate) => `a=${candidate}`));
        placed = true;
      }
    } else if (fresh.length === 0 || !/^a=(candidate:|end-of-candidates)/.test(line)) lines.push(line);
  }
  return lines.join('\r\n');
}

/** STUN and TURN servers of a WHEP answer's Link headers (draft-ietf-wish-whep-04, section 4.6). */
export function iceServers(link: string | null): RTCIceServer[] {
  if (link === null) return [];
  const servers: RTCIceServer[] = [];
  for (const part of link.split(/,\s*(?=<)/)) {
    const url = /^<((?:stun|turns?|stuns):[^>]+)>/.exec(part)?.[1];
    if (url === undefined || !/rel="?ice-server"?/.test(part)) continue;
    const username = quoted(part, 'username');
    const credential = quoted(part, 'credential');
    servers.push({
      urls: url,
      ...(username === undefined ? {} : { username }),
      ...(credential === undefined ? {} : { credential }),
    });
  }
  return servers;
}

/** A parameter's value as a quoted string (RFC 9110, 5.6.4). */
function quoted(link: string, name: string): string | undefined {
  return new RegExp(`\\b${name}="((?:[^"\\\\]|\\\\.)*)"`).exec(link)?.[1]?.replace(/\\(.)/g, '$1');
}
