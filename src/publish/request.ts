import { ClearwayError } from '../contracts/errors.ts';
import { RENDITIONS, type Rendition } from '../contracts/media.ts';
import type { PublishedStream, StreamDirectory } from '../contracts/publish.ts';

/** The stream a request names. Throws CLEARWAY_STREAM_NOT_FOUND (404). */
export function requireStream(streams: StreamDirectory, name: string): PublishedStream {
  const stream = streams.get(name);
  if (stream !== undefined) return stream;
  throw new ClearwayError(
    'CLEARWAY_STREAM_NOT_FOUND',
    'There is no stream of this name; GET /api/v1/streams lists them.',
    { status: 404 },
  );
}

/** The rendition a request asks for, `restored` when it does not say. Throws CLEARWAY_BAD_REQUEST (400). */
export function parseRendition(value: unknown): Rendition {
  if (value === undefined) return 'restored';
  const rendition = RENDITIONS.find((known) => known === value);
  if (rendition !== undefined) return rendition;
  throw new ClearwayError('CLEARWAY_BAD_REQUEST', `rendition must be one of ${RENDITIONS.join(', ')}.`, {
    status: 400,
  });
}
