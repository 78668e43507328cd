// npm run screenshots [-- camera | compare]: the pictures of README.md anew, docs/screenshot.jpg and docs/compare.jpg,
// as the gateway shows its demo. On a host that is busy with other things the demo is not restored: try again later.
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { renderDemoClip } from '../../src/ingest/demo-clip.ts';
import { launchBrowser } from '../support/browser.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { startGateway } from '../support/gateway.ts';

/** Seconds after which the figures of a camera no longer tell of its start. */
const SETTLED = 45;
/** Beginning and length of what is restored, s; the frame that is shown. */
const CUT = { from: 4, seconds: 2, frame: 30 };

/** JPEG: the grain of the demo's camera makes PNGs of a megabyte. */
async function take(page: Page, name: string): Promise<void> {
  const path = resolve(import.meta.dirname, '../../docs', name);
  await page.screenshot({ path, type: 'jpeg', quality: 85 });
  process.stdout.write(`${path}\n`);
}

async function opened(browser: Awaited<ReturnType<typeof launchBrowser>>, url: string): Promise<Page> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(300_000);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(url);
  return page;
}

/** What `npm start` shows: the demo, restored while it is live. */
async function camera(): Promise<void> {
  await using gateway = await startGateway({ streams: {} });
  await using browser = await launchBrowser();
  const page = await opened(browser, `${gateway.url}/streams/demo`);
  await page.locator('.chip-player:not([hidden])').waitFor();
  await new Promise((done) => setTimeout(done, SETTLED * 1000));
  await gateway.until('demo', ({ state, restoration }) => state === 'live' && restoration?.model !== 'none');
  await page.mouse.move(0, 0);
  await take(page, 'screenshot.jpg');
}

/** A file beside its original. */
async function compare(): Promise<void> {
  await using directory = await temporaryDirectory();
  const clip = await renderDemoClip(join(directory.path, 'demo'));
  const file = join(directory.path, 'harbour-line-7.mp4');
  await runFfmpeg([
    ...['-ss', String(CUT.from), '-i', clip.camera, '-t', String(CUT.seconds)],
    ...['-c:v', 'libx264', '-crf', '10', '-c:a', 'copy', file],
  ]);
  // A camera that nobody pushes: the demo would take its share of the cores.
  await using gateway = await startGateway({ streams: { yard: { source: 'push', key: 'secret' } } });
  await using browser = await launchBrowser({ width: 1280, height: 720 });
  const page = await opened(browser, `${gateway.url}/files`);
  await page.getByRole('button', { name: 'Choose videos' }).waitFor();
  await page.getByLabel('Videos to restore').setInputFiles(file);
  await page.getByRole('link', { name: 'Compare' }).click();
  await page.getByRole('slider', { name: 'Frame' }).fill(String(CUT.frame));
  await page.locator(`.picture[data-frame="${CUT.frame}"]`).waitFor();
  // Without the message that the file is on its way.
  await page.locator('.toast').waitFor({ state: 'detached' });
  await take(page, 'compare.jpg');
}

const [which = 'both'] = process.argv.slice(2);
if (which !== 'compare') await camera();
if (which !== 'camera') await compare();
