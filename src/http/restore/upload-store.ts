import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { FileStore } from '@tus/file-store';
import type { Jobs } from '../../contracts/jobs.ts';

/** An upload that is not finished and used by then is removed, ms. */
const EXPIRES = 24 * 3_600_000;

/** tus's store in files, with our limits and errors where it writes. */
export class UploadStore extends FileStore {
  readonly #jobs: Jobs;

  constructor(jobs: Jobs) {
    super({ directory: jobs.uploads, expirationPeriodInMilliseconds: EXPIRES });
    this.#jobs = jobs;
  }

  override write(body: Readable, id: string, offset: number): Promise<number> {
    return this.#jobs.append(body, join(this.directory, id), offset);
  }
}
