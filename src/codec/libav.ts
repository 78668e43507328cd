import { AV_LOG_ERROR } from 'node-av/constants';
import { Codec, Log } from 'node-av/lib';
import { ClearwayError } from '../contracts/errors.ts';

// libav writes to stderr by itself; what fails comes back as error codes.
Log.setLevel(AV_LOG_ERROR);

/** An encoder of the FFmpeg inside node-av, by its FFmpeg name. */
export function encoderNamed(name: string): Codec {
  const codec = Codec.findEncoderByName(name as Parameters<typeof Codec.findEncoderByName>[0]);
  if (codec) return codec;
  throw new ClearwayError(
    'CLEARWAY_ENCODER_FAILED',
    `The FFmpeg inside node-av has no ${name}; reinstall node-av.`,
  );
}
