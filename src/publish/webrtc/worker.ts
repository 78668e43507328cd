import { parentPort, workerData } from 'node:worker_threads';
import { H264Packetizer } from 'werift';
import { ClearwayError } from '../../contracts/errors.ts';
import { now } from '../../contracts/time.ts';
import { hostAddresses } from './addresses.ts';
import { writeFragment } from './fragment.ts';
import type { SentUnit, WorkerCommand, WorkerEvent, WorkerOptions } from './messages.ts';
import type { Offer } from './offer.ts';
import type { PeerOptions } from './peer.ts';
import { PortPairs } from './ports.ts';
import type { Payload } from './rtp-stream.ts';
import { Viewer } from './viewer.ts';

/** Hosts the connections of some viewers. One of several threads: DTLS and SRTP in JavaScript fill a core each. */

/** RTP payload bytes: with RTP, SRTP, UDP and IPv6 headers below the 1280 bytes every path carries. */
const MAX_PAYLOAD = 1180;
/** Port pairs tried for one viewer before the range counts as used up by others. */
const ATTEMPTS = 8;
const ACK_EVERY = 4;

const port = parentPort!;
const options = workerData as WorkerOptions;
const pairs = new PortPairs(options.ports);
const packetizer = new H264Packetizer({ maxPayloadSize: MAX_PAYLOAD, inputFormat: 'annexb' });

interface Seat {
  viewer: Viewer;
  feed: number;
  offer: Offer;
  ports: [number, number];
}
const seats = new Map<string, Seat>();
/** Gathering runs one viewer at a time: werift probes a port, frees it and binds it again. */
let opening: Promise<unknown> = Promise.resolve();
let unacked = 0;
let sent: SentUnit[] = [];

function post(event: WorkerEvent): void {
  port.postMessage(event);
}

function noPort(): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_OVERLOADED',
    'No UDP port is free for another viewer; widen webrtc.portRange or wait.',
    { status: 503, retryable: true, retryAfter: 5 },
  );
}

async function open(command: Extract<WorkerCommand, { t: 'open' }>, addresses: string[]): Promise<void> {
  const { call, id, feed, offer } = command;
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const ports = pairs.take();
    if (ports === undefined) break;
    const peerOptions: PeerOptions = {
      addresses,
      ports,
      ...(options.stun === undefined ? {} : { stun: options.stun }),
    };
    const { viewer, local } = await Viewer.open(id, offer, peerOptions, {
      connected: () => post({ t: 'connected', id }),
      ended: (cause) => close(id, cause).catch(warn),
      keyframe: () => post({ t: 'keyframe', feed }),
    }).catch((error: unknown) => {
      pairs.give(ports);
      throw error;
    });
    if (local.candidates.length > 0) {
      seats.set(id, { viewer, feed, offer, ports });
      return post({ t: 'opened', call, answer: viewer.answer(local) });
    }
    await viewer.close();
    pairs.give(ports);
  }
  throw noPort();
}

async function restart({ call, id, fragment }: Extract<WorkerCommand, { t: 'restart' }>): Promise<void> {
  const seat = seats.get(id);
  if (seat === undefined) {
    throw new ClearwayError('CLEARWAY_SESSION_NOT_FOUND', 'The session has ended; POST a new offer.', {
      status: 404,
    });
  }
  const local = await seat.viewer.restart(fragment);
  const { kind, mid } = seat.offer.media.find(({ accepted }) => accepted !== undefined)!;
  post({ t: 'restarted', call, fragment: writeFragment(local, kind, mid) });
}

async function close(id: string, cause: string): Promise<void> {
  const seat = seats.get(id);
  seats.delete(id);
  await seat?.viewer.close();
  if (seat !== undefined) pairs.give(seat.ports);
  post({ t: 'closed', id, cause });
}

function fail(call: number): (error: unknown) => void {
  return (error) => {
    const known = error instanceof ClearwayError ? error : undefined;
    const { code, retryable, status, retryAfter } = known ?? new ClearwayError('CLEARWAY_INTERNAL', '');
    const message = error instanceof Error ? error.message : String(error);
    const after = retryAfter === undefined ? {} : { retryAfter };
    post({ t: 'failed', call, error: { code, message, retryable, status, ...after } });
  };
}

function of(feed: number): Viewer[] {
  return [...seats.values()].filter((seat) => seat.feed === feed).map(({ viewer }) => viewer);
}

function video({ feed, data, pts, key }: Extract<WorkerCommand, { t: 'video' }>): void {
  const unit = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  const viewers = of(feed);
  try {
    const payloads: Payload[] = packetizer
      .packetize(unit, 0)
      .map(({ payload, header }) => ({ data: payload, marker: header.marker }));
    for (const viewer of viewers) viewer.video(payloads, pts, key);
    sent.push({ feed, pts, at: now() });
  } catch (error) {
    // Not H.264: the pictures after it cannot build on it either.
    for (const viewer of viewers) viewer.gap();
    warn(error);
  }
}

function audio({ feed, data, pts }: Extract<WorkerCommand, { t: 'audio' }>): void {
  const packet = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  for (const viewer of of(feed)) viewer.audio(packet, pts);
}

function acknowledge(): void {
  if (++unacked < ACK_EVERY) return;
  post({ t: 'ack', count: unacked, sent });
  unacked = 0;
  sent = [];
}

function handle(command: WorkerCommand): void {
  switch (command.t) {
    case 'open':
      // Names are resolved outside the queue: a slow resolver delays this viewer only.
      void hostAddresses(options.additionalHosts, warn).then((addresses) => {
        opening = opening.then(() => open(command, addresses)).catch(fail(command.call));
      });
      return;
    case 'restart':
      opening = opening.then(() => restart(command)).catch(fail(command.call));
      return;
    case 'candidates':
      seats.get(command.id)?.viewer.addCandidates(command.candidates).catch(warn);
      return;
    case 'close':
      close(command.id, command.cause).catch(warn);
      return;
    case 'video':
      video(command);
      acknowledge();
      return;
    case 'audio':
      audio(command);
      acknowledge();
      return;
    case 'gap':
      for (const viewer of of(command.feed)) viewer.gap();
      return;
    case 'shutdown':
      void shutdown();
  }
}

async function shutdown(): Promise<void> {
  clearInterval(reports);
  await opening;
  await Promise.all([...seats.keys()].map((id) => close(id, 'gateway stops')));
  port.close();
}

function warn(error: unknown): void {
  post({ t: 'warning', message: error instanceof Error ? error.message : String(error) });
}

const reports = setInterval(() => {
  post({ t: 'report', viewers: [...seats.values()].map(({ viewer }) => viewer.report()) });
}, 1000);
// A promise werift left behind concerns one viewer; the others on this thread go on.
process.on('unhandledRejection', warn);
port.on('message', handle);
