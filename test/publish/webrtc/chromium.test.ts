import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchBrowser } from '../../support/browser.ts';
import { startGateway } from './gateway.ts';
import { play, shown, stats } from './player.ts';

test('Chromium plays picture and sound', { timeout: 120_000 }, async (t) => {
  await using gateway = await startGateway();
  await using browser = await launchBrowser();
  const page = await browser.context.newPage();
  page.on('console', (m) => console.log(m.text()));
  await page.goto(gateway.url);
  await play(page);
  await shown(page, 50);
  const first = await page.evaluate(() => window.players.main!.firstPicture);
  t.diagnostic(`first picture after ${first?.toFixed(0)} ms`);
  console.log(await stats(page, 'inbound-rtp'));
});
