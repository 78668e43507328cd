import type { FfmpegChild } from '../../src/codec/ffmpeg-child.ts';
import { type ClipOptions, encodeArguments, patternArguments, startFfmpeg } from './ffmpeg.ts';

/** Pushes a live test pattern, or a looped file as it is, over RTMP until disposed. */
export function pushRtmp(
  url: string,
  source: ClipOptions | { file: string } = {},
): FfmpegChild & { log(): string } {
  const input =
    'file' in source
      ? ['-re', '-stream_loop', '-1', '-i', source.file, '-c', 'copy']
      : ['-re', ...patternArguments(source), ...encodeArguments(source), '-tune', 'zerolatency'];
  return startFfmpeg([...input, '-f', 'flv', url]);
}
