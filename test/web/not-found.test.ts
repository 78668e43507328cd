import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startServer } from '../http/support.ts';
import { launchBrowser } from '../support/browser.ts';
import { buildPage } from './built-page.ts';

test('a path that is none says so and leads home', { timeout: 120_000 }, async () => {
  await using built = await buildPage();
  await using browser = await launchBrowser();
  const server = await startServer({ webRoot: built.dist });
  try {
    const page = await browser.context.newPage();
    for (const path of ['/bogus', '/streams/gate/more']) {
      const response = await page.goto(server.url + path);
      assert.equal(response?.status(), 404);
      await page.getByRole('heading', { name: 'There is no such page' }).waitFor();
      assert.equal(await page.title(), 'Not found · Clearway');
    }
    await page.getByRole('main').getByRole('link', { name: 'All cameras' }).click();
    await page.waitForURL(`${server.url}/`);
  } finally {
    await server.http.close();
  }
});
