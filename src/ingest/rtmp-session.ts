import type { Socket } from 'node:net';
import RtmpSession, { type ConnectRequest } from 'node-media-server/src/session/rtmp_session.js';

export type RtmpRequest = ConnectRequest;

/** What the server decides about a connection. A `string` is the reason for a refusal. */
export interface RtmpGate {
  publish(request: RtmpRequest): string | undefined;
  published(request: RtmpRequest): void;
  play(request: RtmpRequest): string | undefined;
  refused(what: string, reason: string): void;
}

/** Without a byte for so long a publisher's connection ends, ms. */
const PUBLISH_TIMEOUT = 15_000;

/** Bytes of one RTMP message before it is known who sends it, and after; a 4K keyframe is about 2 MB. */
const MAX_COMMAND = 65_536;
const MAX_MESSAGE = 8 * 1024 * 1024;
/** ... and of the largest ones of all its chunk streams together, whose memory is kept. */
const MAX_HELD = 2 * MAX_MESSAGE;

/** Chunk streams one connection may have open; encoders use about six. */
const MAX_CHUNK_STREAMS = 64;

/** Bytes a player of ours may fall behind before it is cut off; it connects again. */
const MAX_BACKLOG = 32 * 1024 * 1024;

/**
 * Runs node-media-server's RTMP session on a socket behind our own gate. Its callbacks are wrapped because it would
 * let a refused publisher go on publishing, let a player send media, die with the process on a malformed command,
 * allocate 16 MB for every chunk header a stranger sends and drop all that a publisher sends after 2^32 ms.
 * @param patience time until it is known what the other end wants, ms, however it trickles
 */
export function admitRtmpSession(socket: Socket, patience: number, gate: RtmpGate): RtmpSession {
  const session = new RtmpSession(socket);
  const { rtmp } = session;
  const original = {
    data: session.onData,
    connect: session.onConnect,
    push: session.onPush,
    play: session.onPlay,
    packet: session.onPacket,
    send: session.sendBuffer,
    alloc: rtmp.packetAlloc.bind(rtmp),
    respondPublish: rtmp.respondPublish.bind(rtmp),
    respondPlay: rtmp.respondPlay.bind(rtmp),
  };
  let request: RtmpRequest | undefined;
  let role: 'new' | 'publisher' | 'player' = 'new';
  let held = 0;

  function refuse(what: string, code: string, reason: string): void {
    gate.refused(what, reason);
    rtmp.sendStatusMessage(rtmp.streamId, 'error', code, reason);
    socket.destroySoon();
  }

  // The success responses wait until the gate has spoken.
  rtmp.respondPublish = () => {};
  rtmp.respondPlay = () => {};
  rtmp.packetAlloc = () => {
    const { header, capacity } = rtmp.parserPacket;
    const limit = role === 'publisher' ? MAX_MESSAGE : MAX_COMMAND;
    if (header.length > limit) throw new Error('RTMP message too large');
    held += Math.max(0, header.length - capacity);
    if (held > MAX_HELD) throw new Error('too much in RTMP messages that are not whole');
    if (rtmp.inPackets.size > MAX_CHUNK_STREAMS) throw new Error('too many RTMP chunk streams');
    // Called once a message, when its time is known: of 32 bits, to which this adds deltas.
    rtmp.parserPacket.clock %= 2 ** 32;
    original.alloc();
  };
  session.onConnect = (connect) => {
    request = connect;
  };
  session.onPush = () => {
    if (role !== 'new' || !request) throw new Error('a second command on one RTMP connection');
    const reason = gate.publish(request);
    if (reason !== undefined) return refuse('push', 'NetStream.Publish.BadName', reason);
    role = 'publisher';
    clearTimeout(deadline);
    socket.setTimeout(PUBLISH_TIMEOUT, () => socket.destroy());
    original.respondPublish();
    original.connect(request);
    original.push();
    gate.published(request);
  };
  session.onPlay = () => {
    if (role !== 'new' || !request) throw new Error('a second command on one RTMP connection');
    const reason = gate.play(request);
    if (reason !== undefined) return refuse('play', 'NetStream.Play.Failed', reason);
    role = 'player';
    clearTimeout(deadline);
    original.respondPlay();
    original.connect(request);
    original.play();
  };
  session.onPacket = (packet) => {
    if (role === 'publisher') original.packet(packet);
  };
  session.onData = (data) => {
    if (socket.destroyed || socket.writableEnded) return;
    try {
      original.data(data);
    } catch (error) {
      gate.refused('connection', error instanceof Error ? error.message : String(error));
      socket.destroy();
    }
  };
  session.sendBuffer = (buffer) => {
    if (socket.writableLength > MAX_BACKLOG) socket.destroy();
    else if (!socket.destroyed) original.send(buffer);
  };
  const deadline = setTimeout(() => socket.destroy(), patience);
  socket.once('close', () => clearTimeout(deadline));
  session.run();
  return session;
}
