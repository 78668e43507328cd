// Preloaded into every test file's process: node's --test-timeout bounds a test, but not a file whose sockets,
// timers or children keep it alive after its last test, and such a file would hang the whole run.
import { isMainThread } from 'node:worker_threads';

const limit = Number(process.env.CLEARWAY_TEST_FILE_SECONDS);
if (isMainThread && limit > 0 && process.argv[1]?.endsWith('.test.ts')) {
  setTimeout(() => {
    const open = [...new Set(process.getActiveResourcesInfo())].join(', ');
    process.stderr.write(`${process.argv[1]}: still running after ${limit} s; open: ${open}\n`);
    process.exit(1);
  }, limit * 1000).unref();
}
