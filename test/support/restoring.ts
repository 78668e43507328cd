import { once } from 'node:events';
import { join } from 'node:path';
import type { FileProgress, FileRequest, FileResult, FileSettings } from '../../src/contracts/file.ts';
import { FileDesk } from '../../src/streams/file-desk.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { RestorerPool } from '../../src/streams/restorer-pool.ts';
import { silentLogger } from '../../src/telemetry/log.ts';

export const FIXTURE_MODELS = join(import.meta.dirname, '../fixtures/models');
export const REAL_MODELS = join(import.meta.dirname, '../../models');

export const SETTINGS: FileSettings = {
  model: 'brighten',
  strength: 1,
  smoothing: 0,
  height: 'source',
  codec: 'h264',
  crf: undefined,
};

export interface Restoring extends AsyncDisposable {
  desk: FileDesk;
  client: RestorerClient;
  /** Restores a file with the fixture's settings but for what is given. */
  restore(
    input: string,
    output: string,
    settings?: Partial<FileSettings>,
    options?: { signal?: AbortSignal; onProgress?: (progress: FileProgress) => void },
  ): Promise<FileResult>;
}

/** A restorer process of the test's own, ready to restore files. */
export async function startRestoring(models = FIXTURE_MODELS): Promise<Restoring> {
  const client = new RestorerClient(
    { models, provider: 'cpu', threads: 2, log: { level: 'silent', format: 'json' } },
    silentLogger,
  );
  const pool = new RestorerPool([{ device: 0, client }], { logger: silentLogger, retireDoubles: false });
  pool.start();
  await once(pool, 'ready');
  const desk = new FileDesk(pool);
  return {
    desk,
    client,
    restore(input, output, settings = {}, options = {}) {
      const request: FileRequest = { input, output, settings: { ...SETTINGS, ...settings } };
      const { signal = new AbortController().signal, onProgress = () => {} } = options;
      return desk.restore(request, { signal, onProgress });
    },
    [Symbol.asyncDispose]: () => pool.close(),
  };
}
