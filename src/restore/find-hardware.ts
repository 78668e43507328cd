import { type HardwareEncoder, openHardwareEncoder } from '../codec/encoder-kinds.ts';
import { ffmpegPath } from '../codec/ffmpeg.ts';
import { tryHardwareDecoders } from '../codec/hardware-decoder.ts';
import { tryHardwareEncoders } from '../codec/hardware-encoder.ts';
import { errorInfo } from '../contracts/errors.ts';
import type { HardwareDecoder, HardwareEncoderName } from '../contracts/restorer.ts';
import type { Logger } from '../telemetry/log.ts';

type Wish = 'auto' | 'software' | 'hardware';

export interface HardwareOptions {
  /** Software when absent. */
  decode?: Wish;
  /** Software when absent. */
  encode?: Wish;
  /** Number of the GPU. */
  device?: number;
  /** Encoders with which earlier restorers died: left out. */
  avoidEncoders?: HardwareEncoderName[];
}

/** The first hardware decoder that was seen to work, where one may be used. */
export async function findDecoder(
  { decode = 'software', device = 0 }: HardwareOptions,
  logger: Logger,
): Promise<HardwareDecoder | undefined> {
  if (decode === 'software') return undefined;
  return choose(await tryHardwareDecoders(ffmpegPath(), device), decode, 'decode', logger);
}

/** The first hardware encoder that was seen to work, where one may be used. */
export async function findEncoder(
  { encode = 'software', device = 0, avoidEncoders = [] }: HardwareOptions,
  logger: Logger,
): Promise<HardwareEncoderName | undefined> {
  if (encode === 'software') return undefined;
  const trials = await tryHardwareEncoders(device);
  const usable = trials.filter(({ method }) => !avoidEncoders.includes(method));
  return choose(usable, encode, 'encode', logger)?.method;
}

/** Opens an encoder that was found, for this process; undefined when that fails. */
export function openEncoder(
  name: HardwareEncoderName,
  { device = 0 }: HardwareOptions,
  logger: Logger,
): HardwareEncoder | undefined {
  try {
    return openHardwareEncoder(name, device);
  } catch (error) {
    logger.warn({ error: errorInfo(error) }, 'the hardware encoder cannot be opened again: software encodes');
    return undefined;
  }
}

function choose<Trial extends { method: string; works: boolean }>(
  trials: Trial[],
  wish: Wish,
  verb: 'decode' | 'encode',
  logger: Logger,
): Trial | undefined {
  const found = trials.find(({ works }) => works);
  logger[wish === 'hardware' && !found ? 'warn' : 'info'](
    { trials },
    found ? `${found.method} ${verb}s` : `no hardware ${verb}r works here: software ${verb}s`,
  );
  return found;
}
