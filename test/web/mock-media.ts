import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MediaStreamTrack, RTCPeerConnection, RtpPacket, useH264 } from 'werift';

/** Left half red-free and dark, right half bright green: a pixel tells which half it came from. */
const HALVES =
  'color=c=0x203060:s=320x180:r=25[a];color=c=0x30d040:s=320x180:r=25[b];[a][b]hstack,drawbox=x=mod(t*40\\,300):y=80:w=20:h=20:color=white:t=fill';
/** A compare picture as RTP and as HLS, from one ffmpeg. RTP timestamps follow the output clock. */
export class MockMedia implements AsyncDisposable {
  readonly hls: string;
  readonly #ffmpeg: ChildProcess;
  readonly #socket: Socket;
  readonly #peers = new Set<RTCPeerConnection>();
  readonly #tracks = new Set<MediaStreamTrack>();
  #first: { input: number; output: number } | undefined;
  /** Set to hold the picture back, as a broken network does. */
  frozen = false;

  static async start(scene = HALVES): Promise<MockMedia> {
    const socket = createSocket('udp4').bind(0, '127.0.0.1');
    await once(socket, 'listening');
    const hls = await mkdtemp(join(tmpdir(), 'clearway-mock-hls-'));
    const outputs = [
      `[f=rtp]rtp://127.0.0.1:${socket.address().port}?pkt_size=1200`,
      `[f=hls:hls_time=1:hls_segment_type=fmp4:hls_list_size=6:hls_flags=program_date_time+delete_segments+independent_segments]${hls}/index.m3u8`,
    ];
    // biome-ignore format: one argument and its value a line
    const ffmpeg = spawn('ffmpeg', [
      '-nostdin', '-v', 'error', '-re', '-f', 'lavfi', '-i', scene,
      '-map', '0:v', '-pix_fmt', 'yuv420p', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency',
      '-profile:v', 'baseline', '-crf', '22', '-g', '12', '-x264-params', 'scenecut=0:repeat-headers=1',
      '-flags', '+global_header', '-f', 'tee', outputs.join('|'),
    ], { stdio: ['ignore', 'ignore', 'inherit'] });
    return new MockMedia(ffmpeg, socket, hls);
  }

  constructor(ffmpeg: ChildProcess, socket: Socket, hls: string) {
    this.#ffmpeg = ffmpeg;
    this.#socket = socket;
    this.hls = hls;
    socket.on('message', (message) => this.#forward(message));
  }

  /** Answers a WHEP offer. */
  async answer(offer: string): Promise<{ sdp: string; pc: RTCPeerConnection }> {
    const pc = new RTCPeerConnection({ codecs: { video: [useH264()], audio: [] }, iceServers: [] });
    const track = new MediaStreamTrack({ kind: 'video' });
    pc.addTransceiver(track, { direction: 'sendonly' });
    await pc.setRemoteDescription({ type: 'offer', sdp: offer });
    await pc.setLocalDescription(await pc.createAnswer());
    this.#peers.add(pc);
    this.#tracks.add(track);
    return { sdp: pc.localDescription?.sdp ?? '', pc };
  }

  /** Ends every connection without a word, as a killed gateway does. */
  async dropPeers(): Promise<void> {
    this.#tracks.clear();
    const peers = [...this.#peers];
    this.#peers.clear();
    await Promise.all(peers.map((pc) => pc.close()));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ffmpeg.kill('SIGKILL');
    if (this.#ffmpeg.exitCode === null && this.#ffmpeg.signalCode === null) await once(this.#ffmpeg, 'exit');
    this.#socket.close();
    await this.dropPeers();
    await rm(this.hls, { recursive: true, force: true, maxRetries: 5 });
  }

  #forward(message: Buffer): void {
    if (this.frozen) return;
    const packet = RtpPacket.deSerialize(message);
    const input = packet.header.timestamp;
    this.#first ??= { input, output: Math.round(Date.now() * 90) };
    packet.header.timestamp = (((input - this.#first.input) >>> 0) + this.#first.output) % 2 ** 32;
    for (const track of this.#tracks) track.writeRtp(packet.clone());
  }
}
