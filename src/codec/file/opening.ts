import { dirname, join } from 'node:path';
import { ffmpegPath } from '../ffmpeg.ts';

/** Containers a file may have: none of them can make ffmpeg open another file (playlists and scripts can). */
const FORMATS = [
  'mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,flv,asf,ogg,nut,mxf,dv,wtv,rm,ivf',
  'h264,hevc,m4v,obu,vc1,mjpeg,yuv4mpegpipe,gif,apng,gxf,swf,dirac,h263,h261,cavsvideo',
].join(',');

/** Input options that keep ffmpeg to the one file it was given. */
export const FILE_ONLY = ['-protocol_whitelist', 'file', '-format_whitelist', FORMATS];

/** A path as ffmpeg opens it, whatever it looks like. */
export function fileUrl(path: string): string {
  return `file:${path}`;
}

/** ffprobe: beside the ffmpeg that `FFMPEG_PATH` names, or the one on the PATH. */
export function ffprobePath(): string {
  const path = ffmpegPath();
  return path.includes('/') ? join(dirname(path), 'ffprobe') : 'ffprobe';
}
