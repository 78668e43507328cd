import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { quiet, ROOT, say } from './run.mjs';

/** Everything the page is built from. */
const SOURCES = ['src/web', 'src/contracts', 'vite.config.ts', 'package-lock.json'];

/** The newest modification time under a path, ms; 0 when there is none. */
function newest(path) {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (!stat) return 0;
  if (!stat.isDirectory()) return stat.mtimeMs;
  return readdirSync(path).reduce((max, name) => Math.max(max, newest(join(path, name))), stat.mtimeMs);
}

/** Builds the page into dist/web when it is missing or older than what it is built from. */
export async function ensurePage() {
  const built = newest(join(ROOT, 'dist/web/index.html'));
  if (built > Math.max(...SOURCES.map((source) => newest(join(ROOT, source))))) return;
  say('building the page...');
  await quiet(['npm', 'run', '--silent', 'build:web']);
}
