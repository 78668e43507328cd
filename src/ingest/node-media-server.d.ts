// The parts of node-media-server 4.4.3 that Clearway uses; it ships no types of its own.
declare module 'node-media-server/src/core/logger.js' {
  type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';
  const logger: { log(message: string, level?: Level): void };
  export default logger;
}

declare module 'node-media-server/src/core/context.js' {
  import type { RtmpSession } from 'node-media-server/src/session/rtmp_session.js';

  interface Broadcast {
    /** Forgets the publisher and its cached pictures at once; without it, 30 s after the publisher left. */
    _finishPublish(): void;
  }
  const context: {
    sessions: Map<string, RtmpSession>;
    /** By stream path, e.g. `/live/door`. */
    broadcasts: Map<string, Broadcast>;
  };
  export default context;
}

declare module 'node-media-server/src/session/rtmp_session.js' {
  import type { Socket } from 'node:net';
  import type { ParsedUrlQuery } from 'node:querystring';

  interface ConnectRequest {
    app: string;
    name: string;
    host: string;
    query: ParsedUrlQuery;
  }
  interface Rtmp {
    streamId: number;
    /** Messages being put together, by chunk stream id. */
    inPackets: Map<number, unknown>;
    /** `clock` in ms; `capacity`: bytes there is room for. */
    parserPacket: { header: { length: number }; clock: number; capacity: number };
    packetAlloc(): void;
    respondPublish(): void;
    respondPlay(): void;
    sendStatusMessage(stream: number, level: string, code: string, description: string): void;
  }
  class RtmpSession {
    constructor(socket: Socket);
    readonly id: string;
    readonly ip: string;
    readonly rtmp: Rtmp;
    run: () => void;
    onConnect: (request: ConnectRequest) => void;
    onPush: () => void;
    onPlay: () => void;
    onPacket: (packet: unknown) => void;
    onData: (data: Buffer) => void;
    onClose: () => void;
    sendBuffer: (buffer: Buffer) => void;
  }
  export default RtmpSession;
  export type { ConnectRequest, RtmpSession };
}
