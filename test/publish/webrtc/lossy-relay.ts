import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import { once } from 'node:events';

/** A UDP relay between one player and the gateway: a path that loses media packets, or carries few, to the player. */
export class LossyRelay implements AsyncDisposable {
  /** Share of media packets lost on the way to the player, 0..1. */
  loss: number;
  dropped = 0;
  /** Bits per second that get through to the player; what comes faster waits, up to a second. */
  rate = Number.POSITIVE_INFINITY;
  #freeAt = 0;
  #closed = false;
  /** Where the gateway's candidate for this player listens; until it is known, nothing gets through. */
  gatewayPort: number | undefined;
  readonly #player: Socket;
  readonly #gateway: Socket;
  #from: RemoteInfo | undefined;

  private constructor(loss: number) {
    this.loss = loss;
    this.#player = createSocket('udp4');
    this.#gateway = createSocket('udp4');
    this.#player.on('message', (packet, from) => {
      this.#from = from;
      if (this.gatewayPort !== undefined) this.#gateway.send(packet, this.gatewayPort, '127.0.0.1');
    });
    this.#gateway.on('message', (packet) => {
      // The first byte of RTP and RTCP is 128..191 (RFC 7983); 200..206 in the second is RTCP (RFC 5761).
      const media = packet[0]! >> 6 === 2 && !(packet[1]! >= 200 && packet[1]! <= 206);
      if (media && Math.random() < this.loss) this.dropped++;
      else this.#forward(packet);
    });
  }

  static async open(loss: number): Promise<LossyRelay> {
    const relay = new LossyRelay(loss);
    relay.#player.bind(0);
    relay.#gateway.bind(0, '127.0.0.1');
    await Promise.all([once(relay.#player, 'listening'), once(relay.#gateway, 'listening')]);
    return relay;
  }

  #forward(packet: Buffer): void {
    const now = performance.now();
    this.#freeAt = Math.max(now, this.#freeAt) + (packet.length * 8000) / this.rate;
    const wait = this.#freeAt - now;
    const send = () => {
      if (this.#from !== undefined && !this.#closed)
        this.#player.send(packet, this.#from.port, this.#from.address);
    };
    if (wait < 1) send();
    else if (wait < 1000) setTimeout(send, wait);
    else {
      this.dropped++;
      this.#freeAt -= (packet.length * 8000) / this.rate;
    }
  }

  get port(): number {
    return this.#player.address().port;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    this.#player.close();
    this.#gateway.close();
  }
}
