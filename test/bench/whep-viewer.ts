import { RTCPeerConnection, type RtpPacket, useH264 } from 'werift';

/** A viewer without a screen: plays a stream by WHEP and counts the pictures that arrive. */
export class WhepViewer implements AsyncDisposable {
  private readonly connection: RTCPeerConnection;
  private location = '';
  private seen = 0;
  private waiters: { at: number; done: () => void }[] = [];

  private constructor(connection: RTCPeerConnection) {
    this.connection = connection;
  }

  static async open(url: string): Promise<WhepViewer> {
    const connection = new RTCPeerConnection({
      codecs: { video: [useH264()] },
      iceAdditionalHostAddresses: ['127.0.0.1'],
    });
    const viewer = new WhepViewer(connection);
    const transceiver = connection.addTransceiver('video', { direction: 'recvonly' });
    transceiver.onTrack.subscribe((track) => {
      track.onReceiveRtp.subscribe((packet: RtpPacket) => viewer.receive(packet));
    });
    await connection.setLocalDescription(await connection.createOffer());
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: connection.localDescription!.sdp,
    });
    if (response.status !== 201)
      throw new Error(`WHEP answered ${response.status}: ${await response.text()}`);
    viewer.location = new URL(response.headers.get('location')!, url).href;
    await connection.setRemoteDescription({ type: 'answer', sdp: await response.text() });
    return viewer;
  }

  get connected(): boolean {
    return this.connection.connectionState === 'connected';
  }

  /** Resolves when so many more pictures are complete. */
  pictures(more: number): Promise<void> {
    return new Promise((done) => this.waiters.push({ at: this.seen + more, done }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // The gateway may be gone already.
    await fetch(this.location, { method: 'DELETE' }).catch(() => undefined);
    await this.connection.close();
  }

  /** The marker bit ends a picture (RFC 6184). */
  private receive(packet: RtpPacket): void {
    if (!packet.header.marker) return;
    this.seen++;
    this.waiters = this.waiters.filter(({ at, done }) => {
      if (at > this.seen) return true;
      done();
      return false;
    });
  }
}
