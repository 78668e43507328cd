import { connect, type Socket } from 'node:net';

const CHUNK_SIZE = 65_536;

const COMMAND = 20;
const SET_CHUNK_SIZE = 1;
export const AUDIO = 8;

/** One RTMP connection, message by message: what no encoder sends can be sent as well. */
export class RawRtmp implements Disposable {
  readonly socket: Socket;
  /** All that came back so far. */
  received = Buffer.alloc(0);

  /** @param url as `playUrl` and `pushUrl` give it */
  constructor(url: string, command: 'publish' | 'play') {
    const { hostname, port, pathname, search } = new URL(url);
    const [, app = '', name = ''] = pathname.split('/');
    this.socket = connect(Number(port), hostname);
    this.socket.on('error', () => {});
    this.socket.on('data', (data) => {
      this.received = Buffer.concat([this.received, data]);
    });
    this.socket.write(Buffer.alloc(1 + 1536 + 1536, 3));
    this.send(2, SET_CHUNK_SIZE, 0, uint(4, CHUNK_SIZE));
    const target = { app, tcUrl: `rtmp://${hostname}/${app}` };
    this.send(3, COMMAND, 0, Buffer.concat([text('connect'), number(1), object(target)]));
    const rest = command === 'publish' ? [text('live')] : [number(-2000)];
    this.send(3, COMMAND, 0, Buffer.concat([text(command), number(2), NULL, text(name + search), ...rest]));
  }

  /** A message of one chunk with its whole header; it may claim to be longer. */
  send(stream: number, type: number, timestamp: number, payload: Buffer, length = payload.length): void {
    const extended = timestamp >= 0xffffff;
    this.socket.write(
      Buffer.concat([
        Buffer.from([stream]),
        uint(3, extended ? 0xffffff : timestamp),
        uint(3, length),
        Buffer.from([type, 0, 0, 0, 0]),
        ...(extended ? [uint(4, timestamp)] : []),
        payload,
      ]),
    );
  }

  /** A message on the same stream so many ms after the last. */
  sendLater(stream: number, type: number, delta: number, payload: Buffer): void {
    const header = [
      Buffer.from([0x40 | stream]),
      uint(3, delta),
      uint(3, payload.length),
      Buffer.from([type]),
    ];
    this.socket.write(Buffer.concat([...header, payload]));
  }

  /** Resolves once this came back. */
  async until(bytes: string): Promise<void> {
    while (!this.received.includes(bytes)) await new Promise((resolve) => this.socket.once('data', resolve));
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}

function uint(bytes: number, value: number): Buffer {
  const out = Buffer.alloc(bytes);
  out.writeUIntBE(value, 0, bytes);
  return out;
}

/** AMF 0. */
const NULL = Buffer.from([5]);

function number(value: number): Buffer {
  const out = Buffer.alloc(9);
  out.writeDoubleBE(value, 1);
  return out;
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from([2]), uint(2, value.length), Buffer.from(value)]);
}

function object(of: Record<string, string>): Buffer {
  const members = Object.entries(of).flatMap(([key, value]) => [
    uint(2, key.length),
    Buffer.from(key),
    text(value),
  ]);
  return Buffer.concat([Buffer.from([3]), ...members, Buffer.from([0, 0, 9])]);
}
