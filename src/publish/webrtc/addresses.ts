import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';

/**
 * Addresses a player may reach this host at: the configured ones first, then those of its interfaces; the loopback
 * address when there is no other. Link-local addresses need a zone and are left out.
 * @param warn told of a configured host name that does not resolve, and of interfaces that are not told (systemd's
 * RestrictAddressFamilies without AF_NETLINK); the other addresses still serve
 */
export async function hostAddresses(
  additional: readonly string[],
  warn: (error: unknown) => void,
): Promise<string[]> {
  const resolved = await Promise.all(
    additional.map((host) =>
      isIP(host)
        ? host
        : lookup(host).then(
            ({ address }) => address,
            (error) => warn(error),
          ),
    ),
  );
  const configured = resolved.filter((address) => typeof address === 'string');
  const local = Object.values(interfaces(warn))
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && !/^(169\.254\.|fe80:)/i.test(address))
    .map(({ address }) => address);
  const all = [...new Set([...configured, ...local])];
  return all.length > 0 ? all : ['127.0.0.1'];
}

function interfaces(warn: (error: unknown) => void): ReturnType<typeof networkInterfaces> {
  try {
    return networkInterfaces();
  } catch (error) {
    warn(error);
    return {};
  }
}
