import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { complaintsOf } from '../support/accessibility.ts';
import { status } from './mock-gateway.ts';
import { type OpenedPage, openedPage } from './opened-page.ts';

const limit = { timeout: 120_000 };

let site: OpenedPage;
before(async () => {
  site = await openedPage();
  site.gateway.streams.set('yard', status('yard'));
  site.gateway.streams.set('gate', status('gate', { state: 'backoff', cause: 'unreachable' }));
});
after(() => site[Symbol.asyncDispose]());

for (const colorScheme of ['dark', 'light'] as const) {
  for (const path of ['/', '/streams/yard', '/files']) {
    test(`${path}, ${colorScheme}: axe-core has no complaint`, limit, async () => {
      const { page } = await site.open(path);
      await page.emulateMedia({ colorScheme });
      await page.getByRole('heading', { level: 1 }).waitFor();
      assert.deepEqual(await complaintsOf(page), []);
      await page.close();
    });
  }
}

test('the dialogs: axe-core has no complaint', limit, async () => {
  const { page } = await site.open('/');
  await page.getByRole('button', { name: 'Add camera' }).click();
  await page.getByRole('dialog', { name: 'Add camera' }).waitFor();
  assert.deepEqual(await complaintsOf(page), []);
  await page.goto(`${site.url}/streams/yard`);
  await page.getByRole('heading', { level: 1 }).waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  assert.deepEqual(await complaintsOf(page), []);
  await page.close();
});
