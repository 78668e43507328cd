import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { access, mkdir, open, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { sizeText } from '../config/size.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Container, Job } from '../contracts/jobs.ts';

const SOURCE = 'source';
const RESULT = 'restored';

/**
 * The files of jobs. Names that callers give are in none of these paths:
 *
 *     queue.db                    the embedded queue
 *     incoming/<uuid>             what is arriving
 *     uploads/<id>, <id>.json     resumable uploads (tus)
 *     files/<job>/source          the original
 *     files/<job>/restored.mp4    the result, once it is complete
 *     files/<job>/<uuid>.mp4      the result of an attempt that runs
 */
export class JobFolder {
  readonly queue: string;
  readonly incoming: string;
  readonly uploads: string;
  readonly #files: string;
  readonly #minFree: number;

  private constructor(path: string, minFree: number) {
    this.queue = join(path, 'queue.db');
    this.incoming = join(path, 'incoming');
    this.uploads = join(path, 'uploads');
    this.#files = join(path, 'files');
    this.#minFree = minFree;
  }

  /** Makes what is missing. Throws CLEARWAY_CONFIG_INVALID when the place cannot be written to. */
  static async open(path: string, { minFree }: { minFree: number }): Promise<JobFolder> {
    const folder = new JobFolder(path, minFree);
    try {
      for (const part of [folder.incoming, folder.uploads, folder.#files]) {
        // Uploads are for nobody else on this host to read.
        await mkdir(part, { recursive: true, mode: 0o700 });
        await access(part, constants.W_OK | constants.X_OK);
      }
    } catch (cause) {
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `jobs.directory ${path} cannot be written to (${(cause as NodeJS.ErrnoException).code}): make it writable for the gateway, or name another directory.`,
        { cause },
      );
    }
    return folder;
  }

  /** A new path for something that arrives. */
  arrival(): string {
    return join(this.incoming, randomUUID());
  }

  source(id: string): string {
    return join(this.#files, id, SOURCE);
  }

  result({ id, container }: { id: string; container: Container }): string {
    return join(this.#files, id, `${RESULT}.${container}`);
  }

  /** Where one attempt writes; another gateway may still be at an earlier one. */
  attempt({ id, container }: Job): string {
    return join(this.#files, id, `${randomUUID()}.${container}`);
  }

  /** Makes a file that arrived the original of a job. */
  async adopt(path: string, id: string): Promise<void> {
    await mkdir(join(this.#files, id), { recursive: true, mode: 0o700 });
    await rename(path, this.source(id));
  }

  /** Makes a complete attempt the result. */
  async settle(attempt: string, job: Job): Promise<void> {
    // The queue is told that it is done, and a power cut must not make that a lie.
    await using file = await open(attempt, 'r+');
    await file.sync();
    await rename(attempt, this.result(job));
  }

  /** Removes what attempts left that stopped writing so long ago, ms. */
  async removeAttempts(id: string, silentFor: number): Promise<void> {
    const directory = join(this.#files, id);
    for (const { id: name, age } of await ages(directory).catch(() => [])) {
      if (name === SOURCE || name.startsWith(`${RESULT}.`) || age < silentFor) continue;
      await rm(join(directory, name), { force: true });
    }
  }

  /** Removes what arrived or what an attempt wrote, with the part of it that may be left. */
  async discard(path: string): Promise<void> {
    await Promise.all([rm(path, { force: true }), rm(`${path}.clearway-part`, { force: true })]);
  }

  async remove(id: string): Promise<void> {
    await rm(join(this.#files, id), { recursive: true, force: true });
  }

  /** Bytes that a job takes up. */
  async size(id: string): Promise<number> {
    const directory = join(this.#files, id);
    const names = await readdir(directory).catch(() => []);
    const sizes = names.map(async (name) => (await stat(join(directory, name)).catch(() => undefined))?.size);
    return (await Promise.all(sizes)).reduce<number>((sum, size) => sum + (size ?? 0), 0);
  }

  /** Ids of the jobs that have files, with their age in ms. */
  async jobs(): Promise<{ id: string; age: number }[]> {
    return ages(this.#files);
  }

  /** Removes what stopped arriving: nothing was added to it for so long, ms. */
  async removeArrivals(silentFor: number): Promise<void> {
    for (const { id, age } of await ages(this.incoming)) {
      if (age >= silentFor) await rm(join(this.incoming, id), { force: true });
    }
  }

  /** Bytes that may still be written, keeping `minFree`. */
  async room(): Promise<number> {
    const { bavail, bsize } = await statfs(this.incoming);
    return bavail * bsize - this.#minFree;
  }

  /** Throws CLEARWAY_DISK_FULL when `bytes` more would leave less than `minFree`. */
  async ensureRoom(bytes: number): Promise<void> {
    const room = await this.room();
    if (bytes > room) {
      const free = room + this.#minFree;
      throw new ClearwayError(
        'CLEARWAY_DISK_FULL',
        `The gateway's disk has ${sizeText(free)} free, of which jobs.minFree keeps ${sizeText(this.#minFree)}: no room for ${sizeText(bytes)} more. Remove jobs (DELETE /restore/jobs/<id>) or have the operator make room.`,
        { status: 507, retryable: true, retryAfter: 60 },
      );
    }
  }
}

async function ages(directory: string): Promise<{ id: string; age: number }[]> {
  const now = Date.now();
  const found = await Promise.all(
    (await readdir(directory)).map(async (id) => {
      const { mtimeMs } = (await stat(join(directory, id)).catch(() => undefined)) ?? {};
      return mtimeMs === undefined ? undefined : { id, age: now - mtimeMs };
    }),
  );
  return found.filter((one) => one !== undefined);
}
