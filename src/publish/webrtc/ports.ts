import { randomInt } from 'node:crypto';

/** Ports one viewer takes: a socket for IPv4 and one for IPv6. */
export const PORTS_PER_VIEWER = 2;

/** Hands out pairs of UDP ports, so that no two viewers look for theirs in the same place at the same time. */
export class PortPairs {
  readonly #free: number[];

  /**
   * @param range both ends included, with room for one pair at least
   * @param start which pair comes first; a random one, so that two gateways on one host rarely meet
   */
  constructor([first, last]: readonly [number, number], start?: number) {
    const count = Math.floor((last - first + 1) / PORTS_PER_VIEWER);
    const offset = start ?? randomInt(count);
    this.#free = Array.from(
      { length: count },
      (_, index) => first + ((index + offset) % count) * PORTS_PER_VIEWER,
    );
  }

  take(): [number, number] | undefined {
    const port = this.#free.shift();
    return port === undefined ? undefined : [port, port + PORTS_PER_VIEWER - 1];
  }

  /** A freed pair goes to the end: what still arrives for its last viewer reaches nobody new. */
  give([port]: readonly [number, number]): void {
    this.#free.push(port);
  }
}

/**
 * Cuts a port range into equal parts, one per worker; fewer parts when it is too small for one viewer each. None at
 * all for a range without room for a single viewer.
 */
export function splitRange([first, last]: readonly [number, number], parts: number): [number, number][] {
  const pairs = Math.floor((last - first + 1) / PORTS_PER_VIEWER);
  const count = Math.max(0, Math.min(parts, pairs));
  const ranges: [number, number][] = [];
  let from = first;
  for (let i = 0; i < count; i++) {
    const size = Math.floor(pairs / count) + (i < pairs % count ? 1 : 0);
    ranges.push([from, from + size * PORTS_PER_VIEWER - 1]);
    from += size * PORTS_PER_VIEWER;
  }
  return ranges;
}
