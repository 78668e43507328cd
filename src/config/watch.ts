import { type FSWatcher, realpathSync, unwatchFile, watch, watchFile } from 'node:fs';
import { dirname } from 'node:path';

const SETTLE_MS = 100;
const POLL_MS = 2000;

/**
 * Calls `onChange` soon after a file may have changed; it may also be called when nothing has. Watches directories
 * rather than the file, because editors and our own writes replace it by rename, and polls slowly besides, because
 * network mounts and files bind-mounted into a container send no events.
 * Returns the function that stops watching.
 */
export function watchForChange(path: string, onChange: () => void): () => void {
  let timer: NodeJS.Timeout | undefined;
  const touched = () => {
    clearTimeout(timer);
    timer = setTimeout(onChange, SETTLE_MS);
    timer.unref();
  };
  const directories = new Set([dirname(path)]);
  try {
    directories.add(dirname(realpathSync(path)));
  } catch {
    // The file is gone for now; its directory tells when it is back.
  }
  const watchers: FSWatcher[] = [];
  for (const directory of directories) {
    try {
      const watcher = watch(directory, { persistent: false }, touched);
      watcher.on('error', () => watcher.close());
      watchers.push(watcher);
    } catch {
      // Out of inotify watches: polling is left.
    }
  }
  watchFile(path, { interval: POLL_MS, persistent: false }, touched);
  return () => {
    clearTimeout(timer);
    for (const watcher of watchers) watcher.close();
    unwatchFile(path, touched);
  };
}
