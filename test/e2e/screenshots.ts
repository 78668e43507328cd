// npm run screenshots [-- camera | compare]: the pictures of README.md anew, docs/screenshot.jpg and docs/compare.jpg,
// as the gateway shows its demo. Make them on a host that is not busy: their figures are its own.
import { join, resolve } from 'node:path';
import type { Page } from 'playwright-core';
import { renderDemoClip } from '../../src/ingest/demo-clip.ts';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, startGateway } from '../support/gateway.ts';

/** Seconds after which the figures of a camera no longer tell of its start. */
const SETTLED = 40;
/** Beginning and length of what is restored, s; the frame that is shown. */
const CUT = { from: 4, seconds: 2, frame: 30 };

/** JPEG: the grain of the demo's camera makes PNGs of a megabyte. */
async function take(page: Page, name: string): Promise<void> {
  const path = resolve(import.meta.dirname, '../../docs', name);
  await page.screenshot({ path, type: 'jpeg', quality: 85 });
  process.stdout.write(`${path}\n`);
}

async function opened(browser: Browser, url: string): Promise<Page> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(300_000);
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.goto(url);
  return page;
}

/** The demo, restored while it is live; on a busy host late rather than not at all. */
async function camera(): Promise<void> {
  await using gateway = await startGateway({ streams: { demo: patientStream('demo') } });
  await using browser = await launchBrowser({ width: 1280, height: 668 });
  const page = await opened(browser, `${gateway.url}/streams/demo`);
  await page.locator('.chip-player:not([hidden])').waitFor();
  await new Promise((done) => setTimeout(done, SETTLED * 1000));
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
