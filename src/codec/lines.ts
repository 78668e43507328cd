import type { Readable } from 'node:stream';

/** Longer lines are dropped whole: what a camera sends can end up in ffmpeg's log. */
const MAX_LINE = 4096;

/** Calls `line` with every complete line of a Latin-1 text stream, without its line break. */
export function readLines(stream: Readable, line: (text: string) => void): void {
  let rest = '';
  let skipping = false;
  stream.setEncoding('latin1');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop()!;
    for (const text of lines) {
      if (!skipping && text.length <= MAX_LINE) line(text);
      skipping = false;
    }
    if (rest.length > MAX_LINE) {
      rest = '';
      skipping = true;
    }
  });
}
