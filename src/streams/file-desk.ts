import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { partPath } from '../codec/file/encoder.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { FileEvent, FileRequest, FileResult } from '../contracts/file.ts';
import type { RunOptions } from '../contracts/jobs.ts';
import type { RestorerClient } from './restorer-client.ts';
import type { RestorerPool } from './restorer-pool.ts';

/** How long a file waits for a restorer to answer (again): opening and timing the models takes a while, ms. */
const PATIENCE = 120_000;

/** Has files restored: each by the restorer with the fewest of them, and among those the one with the most room. */
export class FileDesk {
  private readonly pool: RestorerPool;
  private readonly load = new Map<RestorerClient, number>();
  private nextId = randomInt(2 ** 32);

  constructor(pool: RestorerPool) {
    this.pool = pool;
  }

  /**
   * Resolves when the result is complete. Rejects with a ClearwayError, retryable when another attempt may work (the
   * restorer ended, say), and with CLEARWAY_JOB_CANCELLED once an aborted one has been cleaned up.
   */
  async restore(request: FileRequest, { signal, onProgress }: RunOptions): Promise<FileResult> {
    const client = await this.place(signal);
    const id = this.nextId++;
    const { promise, resolve, reject } = Promise.withResolvers<FileResult>();
    const onFile = (event: FileEvent) => {
      if (event.id !== id) return;
      if (event.t === 'file-progress') onProgress(event.progress);
      else if (event.t === 'file-done') resolve(event.result);
      else reject(new ClearwayError(event.error.code, event.error.message, event.error));
    };
    const onGone = (cause: string) => {
      reject(
        new ClearwayError(
          'CLEARWAY_RESTORER_DOWN',
          `The restorer ended while it restored the file: ${cause}.`,
          { retryable: true },
        ),
      );
    };
    const cancel = () => client.send({ t: 'file-cancel', id });
    client.on('file', onFile).on('gone', onGone);
    signal.addEventListener('abort', cancel);
    this.load.set(client, (this.load.get(client) ?? 0) + 1);
    try {
      client.send({ t: 'file', id, request });
      return await promise;
    } catch (error) {
      // Only a restorer that died leaves it behind.
      await rm(partPath(request.output), { force: true });
      throw error;
    } finally {
      client.off('file', onFile).off('gone', onGone);
      signal.removeEventListener('abort', cancel);
      this.load.set(client, this.load.get(client)! - 1);
    }
  }

  private async place(signal: AbortSignal): Promise<RestorerClient> {
    const deadline = AbortSignal.timeout(PATIENCE);
    for (;;) {
      if (signal.aborted) {
        throw new ClearwayError('CLEARWAY_JOB_CANCELLED', 'Restoring the file was cancelled.');
      }
      const clients = this.pool.running.map(({ client }) => client);
      const files = (client: RestorerClient) => this.load.get(client) ?? 0;
      const client = clients.toSorted((a, b) => files(a) - files(b))[0];
      if (client) return client;
      if (deadline.aborted) {
        throw new ClearwayError('CLEARWAY_RESTORER_DOWN', 'No restorer runs: see the log for why.', {
          retryable: true,
        });
      }
      await once(this.pool, 'ready', { signal: AbortSignal.any([signal, deadline]) }).catch(() => {});
    }
  }
}
