// npm start: installs what is missing, builds the page and runs the gateway until it ends.
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { checkHost, ensureModules } from './lib/modules.mjs';
import { ensurePage } from './lib/page.mjs';
import { exitCode, main, NODE, ROOT, STOP_SIGNALS } from './lib/run.mjs';
import { ensureTools, FFMPEG } from './lib/tools.mjs';

/** Runs the gateway; a repeated stop signal is passed on at most once a second. */
function serve(args) {
  const child = spawn(NODE, ['src/main.ts', 'serve', ...args], {
    cwd: ROOT,
    // Node starts it in half the time from what it compiled at the last start.
    env: { NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'clearway'), ...process.env },
    stdio: 'inherit',
  });
  let last = 0;
  for (const signal of STOP_SIGNALS) {
    process.on(signal, () => {
      // Ctrl-C reaches the whole foreground group, and npm passes it on besides: the gateway has it already.
      if (signal === 'SIGINT' && process.stdin.isTTY) return;
      const now = Date.now();
      // A closed terminal ends the gateway as properly as anything else.
      if (now - last > 1000) child.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
      last = now;
    });
  }
  child.once('exit', (code, signal) => process.exit(exitCode(code, signal)));
}

await main(async () => {
  checkHost();
  await ensureModules();
  await ensureTools([FFMPEG]);
  await ensurePage();
  serve(process.argv.slice(2));
});
