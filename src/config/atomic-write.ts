import { randomBytes } from 'node:crypto';
import { type FileHandle, open, realpath, rename, stat, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ClearwayError } from '../contracts/errors.ts';

function refusal(file: string, cause: unknown): ClearwayError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ClearwayError(
      'CLEARWAY_DISK_FULL',
      `${file} was not written, for its disk is full: free some space and try again. Nothing has changed.`,
      { status: 507, retryable: true, cause },
    );
  }
  return new ClearwayError(
    'CLEARWAY_CONFIG_READONLY',
    `${file} cannot be written (${code ?? 'unknown error'}): make it and its directory writable for the gateway, or edit the file by hand. Nothing has changed.`,
    { status: 409, cause },
  );
}

async function fill(handle: FileHandle, text: string): Promise<void> {
  try {
    await handle.writeFile(text);
    await handle.truncate(Buffer.byteLength(text));
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function replace(file: string, text: string): Promise<void> {
  const { mode, uid, gid } = await stat(file);
  const temporary = join(dirname(file), `.${basename(file)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    const handle = await open(temporary, 'wx', 0o600);
    // Only root may give a file away; anyone else owns the new file, with the same mode.
    await handle.chown(uid, gid).catch(() => undefined);
    await handle.chmod(mode & 0o7777);
    await fill(handle, text);
    await rename(temporary, file);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(dirname(file)).catch(() => undefined);
}

/**
 * Replaces a file's text so that a crash leaves the old or the new text, never half of it: a temporary file beside
 * it, fsync, rename. Symbolic links are followed, mode and (where allowed) owner kept. A file that is itself a mount
 * point (`docker run -v clearway.yml:...`) cannot be renamed over and is written in place.
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  try {
    const file = await realpath(path);
    try {
      await replace(file, text);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error;
      await fill(await open(file, 'r+'), text);
    }
  } catch (error) {
    throw refusal(path, error);
  }
}
