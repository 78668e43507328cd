import type { IncomingMessage } from 'node:http';
import { BlockList, isIP } from 'node:net';

/**
 * Who sends a request that Fastify does not see, told as Fastify tells it of the others: the nearest that is not one of
 * the proxies that are trusted (addresses, or networks as address/bits).
 */
export function clientAddress({ socket, headers }: IncomingMessage, trusted: readonly string[]): string {
  const forwarded = String(headers['x-forwarded-for'] ?? '').split(',');
  const hops = [socket.remoteAddress ?? '', ...forwarded.map((hop) => hop.trim()).reverse()].filter(
    (hop) => hop !== '',
  );
  const proxies = blockList(trusted);
  return hops.find((hop) => isIP(hop) === 0 || !proxies.check(hop, family(hop))) ?? hops.at(-1) ?? '';
}

function blockList(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    if (bits === undefined) list.addAddress(address, family(address));
    else list.addSubnet(address, Number(bits), family(address));
  }
  return list;
}

function family(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}
