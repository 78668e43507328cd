import { once } from 'node:events';
import { createServer as createHttpServer, type RequestListener } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

export interface BadCamera extends AsyncDisposable {
  readonly port: number;
  /** Connections accepted so far. */
  readonly accepted: number;
}

/** Accepts connections and never says a word. */
export function startSilentCamera(): Promise<BadCamera> {
  return listen(createServer());
}

/** Answers every connection with bytes that mean nothing in any protocol. */
export function startGarbageCamera(): Promise<BadCamera> {
  return listen(
    createServer((socket) => {
      socket.end(noise(200_000));
    }),
  );
}

/** An HTTP camera: `answer` is a body for every request, or decides for itself. */
export async function startHttpCamera(
  answer: Uint8Array | string | RequestListener,
  contentType = 'application/octet-stream',
): Promise<BadCamera & { url: string }> {
  const server = createHttpServer(
    typeof answer === 'function'
      ? answer
      : (_request, response) => response.writeHead(200, { 'content-type': contentType }).end(answer),
  );
  const camera = await listen(server);
  return Object.assign(camera, { url: `http://127.0.0.1:${camera.port}/` });
}

/** A server of the test's own on loopback, gone with its connections when disposed. */
export async function listen(server: Server): Promise<BadCamera> {
  const sockets = new Set<Socket>();
  let accepted = 0;
  server.on('connection', (socket: Socket) => {
    accepted += 1;
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    get accepted() {
      return accepted;
    },
    async [Symbol.asyncDispose]() {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** The same bytes every time (a linear congruential generator), so that a failure repeats. */
export function noise(bytes: number, seed = 1): Buffer {
  let state = seed;
  return Buffer.from(
    Array.from({ length: bytes }, () => {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      return state >>> 24;
    }),
  );
}

/** A copy with one bit in about `every` bytes flipped, leaving the first `keep` bytes whole. */
export function flipBits(data: Uint8Array, every: number, keep = 0): Buffer {
  const flipped = Buffer.from(data);
  const where = noise(flipped.length, 7);
  for (let at = keep + where[0]!; at < flipped.length; at += Math.floor(every / 2) + where[at]! * 2) {
    flipped[at]! ^= 1 << (where[at]! & 7);
  }
  return flipped;
}
