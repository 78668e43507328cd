import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { pushRtmp } from '../support/rtmp-push.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

const limit = { timeout: 180_000 };
const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
let browser: Browser;
before(async () => {
  gateway = stack.use(await startGateway({ streams: { porch: { source: 'push', key: 'not ours' } } }));
  browser = stack.use(await launchBrowser());
});
after(() => stack.disposeAsync());

async function wall(): Promise<Page> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(90_000);
  await page.goto(gateway.url);
  await page.getByRole('link', { name: 'porch' }).waitFor();
  return page;
}

test('a camera that pushes is added on the page, and pushes to what the page says', limit, async () => {
  const page = await wall();
  await page.keyboard.press('n');
  await page.getByLabel('Name').fill('yard');
  await page.getByRole('radio', { name: 'It pushes RTMP' }).check();
  await page.getByRole('button', { name: 'Add camera' }).last().click();
  const guide = page.getByRole('dialog', { name: 'yard added.' });
  await guide.locator('code').first().waitFor();
  const [url, server, streamKey] = await guide.locator('code').allTextContents();
  await guide.getByRole('button', { name: 'Done' }).click();
  {
    await using _wrong = pushRtmp(`${server}/${streamKey}0`);
    await gateway.logged(({ msg }) => msg.includes('wrong key for yard'));
  }
  {
    await using _right = pushRtmp(url!);
    await page.locator('.card', { hasText: 'yard' }).locator('img').waitFor();
  }
  await page.close();
});

test('a wrong password is said on the camera’s card, and mended by its pencil', limit, async () => {
  await using camera = await startRtspCamera({ auth: { user: 'admin', password: 'right' } });
  const page = await wall();
  await page.keyboard.press('n');
  await page.getByLabel('Name').fill('gate');
  await page.getByLabel('Camera address').fill(camera.url.replace('right', 'wrong'));
  await page.getByRole('button', { name: 'Add camera' }).last().click();
  const card = page.locator('.card', { hasText: 'gate' });
  await card.getByText('refused the credentials: check user and password in the URL').waitFor();
  await page.getByRole('button', { name: 'Edit gate' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit gate' });
  await dialog.getByRole('button', { name: 'Save' }).and(page.locator(':enabled')).waitFor();
  await dialog.getByLabel('Camera address').fill(camera.url);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await card.locator('img').waitFor();
  await page.close();
});
