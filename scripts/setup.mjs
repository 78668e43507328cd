// npm run setup: installs all that `npm start` and `npm test` need, and builds the page.
import { checkHost, ensureModules } from './lib/modules.mjs';
import { ensurePage } from './lib/page.mjs';
import { main, say } from './lib/run.mjs';
import { ensureTools, FFMPEG, TEST_TOOLS } from './lib/tools.mjs';

await main(async () => {
  checkHost();
  await ensureModules();
  await ensureTools([FFMPEG, ...TEST_TOOLS]);
  await ensurePage();
  say('ready');
});
