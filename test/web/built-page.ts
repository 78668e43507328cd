import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { build } from 'vite';

/** The page as `npm run build:web` builds it, in a directory of its own that goes when disposed. */
export async function buildPage(): Promise<{ dist: string } & AsyncDisposable> {
  const dist = await mkdtemp(join(tmpdir(), 'clearway-page-'));
  await build({
    configFile: resolve(import.meta.dirname, '../../vite.config.ts'),
    logLevel: 'error',
    build: { outDir: dist },
  });
  return {
    dist,
    async [Symbol.asyncDispose]() {
      await rm(dist, { recursive: true, force: true });
    },
  };
}
