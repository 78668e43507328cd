// npm run screenshot [-- FILE.png]: docs/compare.png, the compare player with the demo's own footage.
import { join, resolve } from 'node:path';
import { renderDemoClip } from '../../src/ingest/demo-clip.ts';
import { launchBrowser } from '../support/browser.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { startGateway } from '../support/gateway.ts';

/** Beginning and length of what is restored, s; the frame that is shown. */
const CUT = { from: 4, seconds: 2, frame: 30 };

const target = resolve(process.argv[2] ?? join(import.meta.dirname, '../../docs/compare.png'));
await using directory = await temporaryDirectory();
const { camera } = await renderDemoClip(join(directory.path, 'demo'));
const file = join(directory.path, 'harbour-line-7.mp4');
await runFfmpeg([
  ...['-ss', String(CUT.from), '-i', camera, '-t', String(CUT.seconds)],
  ...['-c:v', 'libx264', '-crf', '10', '-c:a', 'copy', file],
]);
// A camera that nobody pushes: the demo would take its share of the cores.
await using gateway = await startGateway({ streams: { yard: { source: 'push', key: 'secret' } } });
await using browser = await launchBrowser({ width: 1280, height: 720 });
const page = await browser.context.newPage();
page.setDefaultTimeout(300_000);
await page.emulateMedia({ colorScheme: 'dark' });
await page.goto(`${gateway.url}/files`);
await page.getByRole('button', { name: 'Choose videos' }).waitFor();
await page.getByLabel('Videos to restore').setInputFiles(file);
await page.getByRole('link', { name: 'Compare' }).click();
await page.getByRole('slider', { name: 'Frame' }).fill(String(CUT.frame));
await page.locator(`.picture[data-frame="${CUT.frame}"]`).waitFor();
// Without the message that the file is on its way.
await page.locator('.toast').waitFor({ state: 'detached' });
await page.screenshot({ path: target });
process.stdout.write(`${target}\n`);
