import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { ClearwayError } from '../contracts/errors.ts';

/** Free space is looked at each time so much has arrived, bytes. */
const LOOK_EVERY = 16 * 2 ** 20;

export interface IntakeLimits {
  /** Most bytes taken. */
  maxBytes: number;
  /** Rejects when the disk has no room for so many bytes. */
  ensureRoom(bytes: number): Promise<void>;
}

/** Passes a stream on while it keeps within the limits. */
function limit({ maxBytes, ensureRoom }: IntakeLimits, already = 0): Transform {
  let bytes = already;
  let looked = Number.NEGATIVE_INFINITY;
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxBytes) {
        done(tooLarge(maxBytes));
      } else if (bytes - looked < LOOK_EVERY) {
        done(null, chunk);
      } else {
        looked = bytes;
        ensureRoom(chunk.length).then(() => done(null, chunk), done);
      }
    },
  });
}

/**
 * Streams a file to a path and hashes it on the way. What arrived of one that fails is removed. Rejects with
 * CLEARWAY_PAYLOAD_TOO_LARGE or CLEARWAY_DISK_FULL.
 */
export async function receive(
  body: Readable,
  path: string,
  limits: IntakeLimits,
): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  const measure = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      bytes += chunk.length;
      done(null, chunk);
    },
  });
  try {
    // `flush`: the queue will be told of this file, and a power cut must not empty it.
    await pipeline(body, limit(limits), measure, createWriteStream(path, { flags: 'wx', flush: true }));
  } catch (error) {
    await rm(path, { force: true });
    throw asDiskFull(error) ?? error;
  }
  return { bytes, sha256: hash.digest('hex') };
}

/**
 * Writes to a file from an offset on; resolves with the new one. What came before a failure stays. Rejects as
 * `receive` does.
 */
export async function append(
  body: Readable,
  path: string,
  offset: number,
  limits: IntakeLimits,
): Promise<number> {
  const file = createWriteStream(path, { flags: 'r+', start: offset });
  await pipeline(body, limit(limits, offset), file).catch((error) => {
    throw asDiskFull(error) ?? error;
  });
  return offset + file.bytesWritten;
}

/** Hash and size of a file that is there already. */
export async function measureFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 2 ** 20 }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest('hex') };
}

export function tooLarge(maxBytes: number): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_PAYLOAD_TOO_LARGE',
    `The file is larger than the ${maxBytes} bytes that are taken (jobs.maxUpload): send a smaller one, or a part of it.`,
    { status: 413 },
  );
}

/** A write that failed for want of space, as an error for the caller. */
function asDiskFull(error: unknown): ClearwayError | undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EFBIG') return undefined;
  return new ClearwayError('CLEARWAY_DISK_FULL', 'The gateway’s disk is full; try later.', {
    status: 507,
    retryable: true,
    retryAfter: 60,
    cause: error,
  });
}
