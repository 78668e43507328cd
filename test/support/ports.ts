import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that Linux gives to outgoing connections: one of those may take a port before its test does. */
const [FIRST, LAST] = [20_000, 32_000];

/** A TCP port on loopback that nothing listens on. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST, LAST);
    const server = createServer().listen(port, '127.0.0.1');
    const free = await once(server, 'listening').then(
      () => true,
      () => false,
    );
    if (!free) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** UDP ports next to each other that no socket of either family holds, both ends included. */
export async function freeUdpPorts(count: number): Promise<[first: number, last: number]> {
  for (;;) {
    const first = randomInt(FIRST, LAST - count);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const free = await Promise.all(ports.map(isFree));
    if (free.every(Boolean)) return [first, first + count - 1];
  }
}

async function isFree(port: number): Promise<boolean> {
  // Bound to every address of both families, as a viewer's sockets are.
  const socket = createSocket('udp6');
  try {
    await once(socket.bind(port), 'listening');
    return true;
  } catch {
    return false;
  } finally {
    socket.close();
  }
}
