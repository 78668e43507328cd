import { basename } from 'node:path';
import type { FileInput } from '../contracts/file.ts';

/** ffmpeg's names of containers, as media types. */
const MEDIA_TYPES: [RegExp, string][] = [
  [/\bmp4\b/, 'video/mp4'],
  [/\bwebm\b/, 'video/webm'],
  [/^mpegts$/, 'video/mp2t'],
  [/^avi$/, 'video/x-msvideo'],
  [/^ogg$/, 'video/ogg'],
];

/** A name for people: no path, no control characters, not long. */
export function plainName(name: string): string {
  const plain = basename(name.replaceAll('\\', '/')).replaceAll(/\p{C}/gu, '').trim().slice(0, 200);
  return plain === '' || plain === '.' || plain === '..' ? 'video' : plain;
}

/** The media type of a file that was looked into. */
export function mediaType({ container, codec }: FileInput): string {
  if (/\bwebm\b/.test(container) && !/^(vp8|vp9|av1)$/.test(codec)) return 'video/x-matroska';
  return MEDIA_TYPES.find(([name]) => name.test(container))?.[1] ?? 'application/octet-stream';
}
