import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';

/** An RTCP sender report, RFC 3550, 6.4.1. */
const SENDER_REPORT = 200;

/**
 * Stands between a player and an RTSP server (TCP) and moves the clock in the server's sender reports by `shift` ms;
 * `silent`: leaves them out.
 */
export async function startRtspRelay(
  target: string,
  shift: number | 'silent',
): Promise<AsyncDisposable & { url: string }> {
  const { port, pathname } = new URL(target);
  const server = createServer((player) => {
    const camera = connect(Number(port), '127.0.0.1');
    let held = Buffer.alloc(0);
    player.pipe(camera);
    camera.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (let end = messageEnd(held); end !== undefined; end = messageEnd(held)) {
        const message = held.subarray(0, end);
        held = held.subarray(end);
        if (message[0] === 0x24 && message[5] === SENDER_REPORT) {
          if (shift === 'silent') continue;
          const ntp = message.readBigUInt64BE(12);
          message.writeBigUInt64BE(ntp + (BigInt(shift) << 32n) / 1000n, 12);
        }
        player.write(Buffer.from(message));
      }
    });
    for (const [one, other] of [
      [player, camera],
      [camera, player],
    ] as const) {
      one.on('error', () => {});
      one.on('close', () => other.destroy());
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `rtsp://127.0.0.1:${(server.address() as AddressInfo).port}${pathname}`,
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, 'close');
    },
  };
}

/** Length of the first interleaved frame or RTSP response, once it is there whole. */
function messageEnd(data: Buffer): number | undefined {
  if (data.length < 4) return undefined;
  let end: number;
  if (data[0] === 0x24) end = 4 + data.readUInt16BE(2);
  else {
    const head = data.indexOf('\r\n\r\n');
    if (head < 0) return undefined;
    const length = /content-length: *(\d+)/i.exec(data.toString('latin1', 0, head))?.[1];
    end = head + 4 + Number(length ?? 0);
  }
  return data.length >= end ? end : undefined;
}
