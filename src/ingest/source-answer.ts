import type { Readable } from 'node:stream';
import { followed } from './plain-url.ts';

/** Bytes of an answer's head, and of a playlist, at most. */
const MAX_HEAD = 64 << 10;
const MAX_PLAYLIST = 4 << 20;
/** Of the line that begins a chunk. */
const MAX_CHUNK_LINE = 1 << 10;

/** How an HLS playlist begins (RFC 8216, 4.3.1.1): ffmpeg takes nothing else for one. */
const PLAYLIST = Buffer.from('#EXTM3U');
const EDGE = PLAYLIST.length - 1;

/** As ffmpeg reads the attributes of a tag: what a value in quotes holds is none, whatever it looks like. */
const ATTRIBUTE = /([^=]*=)("?)((?<=")(?:\\.|[^"\\])*|[^ \f\t\v,]*)/g;

/** What of an answer's head is handed on: what ffmpeg needs, and nothing by which it would read another body. */
const KEPT = /^(?:content-(?:type|range)|accept-ranges|location|www-authenticate|server)$/i;
const ABOUT_RANGES = /^(?:content-range|accept-ranges)$/i;

/** Why an answer is not handed on. */
export class AnswerRefused extends Error {}

const NOT_HTTP = 'leads to what is not HTTP';

interface Head {
  status: number;
  reason: string;
  headers: [name: string, value: string][];
  length: number | undefined;
  chunked: boolean;
}

/**
 * Reads what a source answered, as freely as cameras speak HTTP, and gives it back as ffmpeg shall read it: with a
 * plain head, and without a way to anything but HTTP. The URLs of redirects and HLS playlists are made `followed` ones;
 * where a playlist begins in the middle of anything else, that ends. Rejects with AnswerRefused, or with what became of
 * the connection.
 * @param secure whether it comes over TLS
 */
export async function readAnswer(upstream: Readable, secure: boolean): Promise<AsyncIterable<Buffer>> {
  const input = upstream[Symbol.asyncIterator]() as AsyncIterableIterator<Buffer>;
  const { head, rest } = await readHead(input);
  const { status, headers } = head;
  const location = headers.find(([name]) => /^location$/i.test(name));
  if (location) location[1] = followed(location[1], secure) ?? refuse(NOT_HTTP);
  // ffmpeg reads no more of these, and not every server ends them.
  if (status >= 400 || (status >= 300 && location)) return single(written(head, 0));

  const whole = head.chunked ? dechunked(prepend(rest, input)) : limited(prepend(rest, input), head.length);
  let start = Buffer.alloc(0);
  while (start.length < PLAYLIST.length && PLAYLIST.subarray(0, start.length).equals(start)) {
    const { done, value } = await whole.next();
    if (done) break;
    start = Buffer.concat([start, value]);
  }
  const body = prepend(start, whole);
  if (start.subarray(0, PLAYLIST.length).equals(PLAYLIST)) {
    const playlist = checkPlaylist((await collect(body)).toString('latin1'), secure);
    const plain = { ...head, status: 200, headers: headers.filter(([name]) => !ABOUT_RANGES.test(name)) };
    return single(written(plain, playlist.length) + playlist);
  }
  const begin = Buffer.from(written(head, head.length), 'latin1');
  return prepend(begin, head.chunked ? chunked(media(body)) : media(body));
}

/** A playlist with `followed` URLs. Throws AnswerRefused when one of them is none. */
function checkPlaylist(text: string, secure: boolean): string {
  const follow = (url: string) => followed(url, secure) ?? refuse(NOT_HTTP);
  return text
    .split(/[\r\n\0]+/)
    .map((line) =>
      line.startsWith('#')
        ? line.replace(ATTRIBUTE, (all, name: string, quote, value) =>
            name.endsWith('URI=') ? name + quote + follow(value) : all,
          )
        : follow(line),
    )
    .join('\n');
}

async function readHead(input: AsyncIterator<Buffer>): Promise<{ head: Head; rest: Buffer }> {
  let bytes = Buffer.alloc(0);
  for (;;) {
    const { done, value } = await input.next();
    if (done) throw new AnswerRefused('Connection reset');
    bytes = Buffer.concat([bytes, value]);
    const text = bytes.toString('latin1');
    const [ending] = /\r?\n\r?\n/.exec(text) ?? [];
    if (ending !== undefined) {
      const length = text.indexOf(ending) + ending.length;
      return { head: parseHead(text.slice(0, length)), rest: bytes.subarray(length) };
    }
    if (bytes.length > MAX_HEAD) refuse('answers with an endless head');
  }
}

function parseHead(text: string): Head {
  const [first = '', ...lines] = text.split(/\r?\n/);
  const [, status, reason = ''] =
    /^\S+ +(\d{3})(?: (.*))?$/.exec(printable(first)) ?? refuse('speaks no HTTP');
  const headers = lines.flatMap((line): [string, string][] => {
    const [, name, value = ''] =
      /^([!#$%&'*+.^`|~\w-]+)[ \t]*:[ \t]*(.*?)[ \t]*$/.exec(printable(line)) ?? [];
    return name === undefined ? [] : [[name, value]];
  });
  const header = (wanted: string) => headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
  const chunked = /chunked/i.test(header('transfer-encoding') ?? '');
  const length = chunked ? undefined : header('content-length');
  return {
    status: Number(status),
    reason,
    headers: headers.filter(([name]) => KEPT.test(name)),
    length: length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined,
    chunked,
  };
}

function printable(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out
  return line.replace(/[\u0000-\u0008\u000a-\u001f\u007f]/g, '');
}

/** @param length bytes of the body; undefined: those until its end, in chunks if they came so */
function written({ status, reason, headers, chunked }: Head, length: number | undefined): string {
  return [
    `HTTP/1.1 ${status} ${reason}`,
    ...headers.map(([name, value]) => `${name}: ${value}`),
    ...(length !== undefined ? [`Content-Length: ${length}`] : []),
    ...(length === undefined && chunked ? ['Transfer-Encoding: chunked'] : []),
    'Connection: close\r\n\r\n',
  ].join('\r\n');
}

async function* single(text: string): AsyncGenerator<Buffer, void, void> {
  yield Buffer.from(text, 'latin1');
}

async function* prepend(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  if (first.length > 0) yield first;
  yield* rest;
}

/** As many bytes as were announced, if any were: not every server closes the connection after them. */
async function* limited(
  body: AsyncIterable<Buffer>,
  length = Number.POSITIVE_INFINITY,
): AsyncGenerator<Buffer, void, void> {
  let left = length;
  if (left === 0) return;
  for await (const bytes of body) {
    yield bytes.subarray(0, left);
    left -= bytes.length;
    if (left <= 0) return;
  }
}

/** RFC 9112, 7.1. */
async function* dechunked(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let left = 0;
  let line = '';
  for await (let bytes of body) {
    while (bytes.length > 0) {
      if (left > 0) {
        const part = bytes.subarray(0, left);
        left -= part.length;
        bytes = bytes.subarray(part.length);
        yield part;
        continue;
      }
      const end = bytes.indexOf('\n') + 1;
      line += bytes.toString('latin1', 0, end || bytes.length);
      bytes = end > 0 ? bytes.subarray(end) : Buffer.alloc(0);
      if (line.length > MAX_CHUNK_LINE) refuse('speaks no HTTP');
      // The line break behind the chunk before.
      if (end > 0 && line.trim() !== '') {
        left = Number.parseInt(line, 16);
        if (Number.isNaN(left)) refuse('speaks no HTTP');
        if (left === 0) return;
      }
      if (end > 0) line = '';
    }
  }
  refuse('Connection reset');
}

/** So that its end can be told from a connection that broke. */
async function* chunked(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  const line = Buffer.from('\r\n');
  for await (const bytes of body) {
    if (bytes.length > 0) yield Buffer.concat([Buffer.from(bytes.length.toString(16)), line, bytes, line]);
  }
  yield Buffer.from('0\r\n\r\n');
}

/**
 * A body that is no playlist, up to where one would begin all the same: behind an ID3 tag, for one, which ffmpeg skips.
 */
async function* media(body: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  let before = Buffer.alloc(0);
  for await (const bytes of body) {
    const edge = Buffer.concat([before, bytes.subarray(0, EDGE)]);
    if (edge.includes(PLAYLIST) || bytes.includes(PLAYLIST)) refuse(NOT_HTTP);
    yield bytes;
    before = (bytes.length < EDGE ? edge : bytes).subarray(-EDGE) as Buffer<ArrayBuffer>;
  }
}

async function collect(body: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > MAX_PLAYLIST) refuse('sends an endless playlist');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function refuse(why: string): never {
  throw new AnswerRefused(why);
}
