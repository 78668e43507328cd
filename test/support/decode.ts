import type { ArrivedPacket, DecodedAudio, DecodedFrame } from '../../src/codec/decoder-process.ts';
import { openDecoder } from '../../src/codec/decoders.ts';
import type { ClearwayError } from '../../src/contracts/errors.ts';
import type { SourceSpec } from '../../src/contracts/restorer.ts';
import type { SourceInfo } from '../../src/contracts/stream.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

export interface Decoded {
  frames: DecodedFrame[];
  packets: ArrivedPacket[];
  audio: DecodedAudio[];
  /** As it was last announced. */
  info: SourceInfo;
  /** Everything announced, in order. */
  infos: SourceInfo[];
  /** Set when the source ended before so many frames. */
  error?: ClearwayError;
  again?: SourceSpec;
}

/** Decodes a source until `count` frames have come or it ends. */
export async function decodeFrames(
  url: string,
  count: number,
  options: Partial<SourceSpec> & {
    height?: number;
    connectTimeout?: number;
    until?: (decoded: Decoded) => boolean;
  } = {},
): Promise<Decoded> {
  const { height, connectTimeout = 20, until = ({ frames }) => frames.length >= count, ...spec } = options;
  const infos: SourceInfo[] = [];
  const decoded: Decoded = {
    frames: [],
    packets: [],
    audio: [],
    info: { width: 0, height: 0, codec: 'unknown', fps: 0, hasAudio: false },
    infos,
  };
  const { promise, resolve } = Promise.withResolvers<void>();
  await using _decoder = openDecoder(
    { url, transport: 'auto', audio: true, stallTimeout: 20, ...spec },
    { height: height ?? 'auto', connectTimeout, logger: silentLogger },
    {
      allocate: (bytes) => new Uint8Array(bytes),
      frame(frame) {
        if (until(decoded)) return;
        decoded.frames.push(frame);
        if (until(decoded)) resolve();
      },
      dropped() {},
      audio(audio) {
        decoded.audio.push(audio);
        if (until(decoded)) resolve();
      },
      packet: (packet) => void decoded.packets.push(packet),
      opened(info) {
        decoded.info = info;
        infos.push(info);
      },
      ended({ error, again }) {
        Object.assign(decoded, { error }, again ? { again } : {});
        resolve();
      },
    },
  );
  await promise;
  return decoded;
}
