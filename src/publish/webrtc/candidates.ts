import { isIP } from 'node:net';

/** Candidates kept of one offer or fragment: a browser sends a handful; each costs connectivity checks. */
const MAX_CANDIDATES = 32;

/**
 * Keeps what the gateway can check: UDP candidates of component 1 with an IP address (RFC 8839). Host names (mDNS
 * ones included) are left out, so that no offer makes the gateway resolve anything; such a peer is found by its own
 * checks (peer reflexive). Extension attributes are dropped: their generation counts the peer's restarts, not ours.
 * @param lines values of `a=candidate` attributes, with or without `candidate:`
 */
export function usableCandidates(lines: readonly string[]): string[] {
  const usable: string[] = [];
  for (const line of lines) {
    const [foundation, component, transport, priority, address, port, typ, type] = line
      .replace(/^candidate:/, '')
      .split(' ');
    if (usable.length === MAX_CANDIDATES) break;
    if (component !== '1' || transport?.toLowerCase() !== 'udp' || typ !== 'typ') continue;
    if (address === undefined || isIP(address) === 0 || !isPort(port) || !/^\d{1,10}$/.test(priority ?? '')) {
      continue;
    }
    if (!/^[\w+/]{1,32}$/.test(foundation ?? '') || !/^(host|srflx|prflx|relay)$/.test(type ?? '')) continue;
    usable.push(`${foundation} 1 udp ${priority} ${address} ${port} typ ${type}`);
  }
  return usable;
}

function isPort(text: string | undefined): boolean {
  const port = Number(text);
  return Number.isInteger(port) && port > 0 && port < 65536;
}

/**
 * The host candidates of the gateway. Its sockets listen on every address of their family, so one port stands for
 * all addresses; earlier addresses get the higher priority (RFC 8445, 5.1.2.1).
 */
export function hostCandidates(addresses: readonly string[], ports: { 4?: number; 6?: number }): string[] {
  const lines: string[] = [];
  for (const [index, address] of addresses.entries()) {
    const port = ports[isIP(address) === 6 ? 6 : 4];
    if (port === undefined) continue;
    const priority = 126 * 2 ** 24 + (65535 - index) * 2 ** 8 + 255;
    lines.push(`${index + 1} 1 udp ${priority} ${address} ${port} typ host`);
  }
  return lines;
}
