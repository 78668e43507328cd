// npm run setup: what `npm start` installs and builds, without starting; for deployment and image building.
import { checkHost, ensureModules } from './lib/modules.mjs';
import { ensurePage } from './lib/page.mjs';
import { main, say } from './lib/run.mjs';
import { ensureTools, FFMPEG } from './lib/tools.mjs';

await main(async () => {
  checkHost();
  await ensureModules();
  await ensureTools([FFMPEG]);
  await ensurePage();
  say('ready: npm start');
});
