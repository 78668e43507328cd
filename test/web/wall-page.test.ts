import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, beforeEach, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { complaintsOf } from '../support/accessibility.ts';
import { status } from './mock-gateway.ts';
import { type OpenedPage, openedPage } from './opened-page.ts';

/** A grey 16 x 9 JPEG would do; this one is 1 x 1. */
const JPEG = Buffer.from(
  '/9j/4AAQSkZJRgABAQEASABIAAD/2wBDAP//////////////////////////////////////////////////////////////////////////////////////wgALCAABAAEBAREA/8QAFBABAAAAAAAAAAAAAAAAAAAAAP/aAAgBAQABPxA=',
  'base64',
);

let site: OpenedPage;
before(async () => {
  site = await openedPage();
});
after(() => site[Symbol.asyncDispose]());
beforeEach(() => {
  site.gateway.streams.clear();
  site.gateway.refuse.clear();
  site.gateway.session = { auth: false };
  site.gateway.snapshot = JPEG;
});

const limit = { timeout: 120_000 };

/** Opens the dialog of a camera's settings; resolves once they are in it. */
async function edit(page: Page, camera: string): Promise<Locator> {
  await page.getByRole('button', { name: `Edit ${camera}` }).click();
  const dialog = page.getByRole('dialog', { name: `Edit ${camera}` });
  await dialog.getByRole('button', { name: 'Save' }).and(page.locator(':enabled')).waitFor();
  return dialog;
}

test(
  'cards show state, cause and figures as they change; sleeping cameras are left asleep',
  limit,
  async () => {
    const { gateway } = site;
    gateway.streams.set('yard', status('yard'));
    gateway.streams.set('attic', status('attic', { state: 'idle', cause: 'nobody watches', onDemand: true }));
    const from = gateway.requests.length;
    const { page, complaints } = await site.open('/');
    await page.locator('.card', { hasText: 'yard' }).locator('.snapshot img').waitFor();
    const asked = gateway.requests.slice(from).filter((line) => line.startsWith('GET /snapshot/'));
    assert.ok(asked.length > 0 && asked.every((line) => line.endsWith('/yard.jpg')), `${asked}`);
    await page.getByText('2 cameras · 1 live · 1 asleep · 2 viewers').waitFor();

    // A later picture replaces the first one by itself.
    for (let line = ''; line !== 'GET /snapshot/yard.jpg'; ) [line] = await once(gateway.heard, 'request');

    gateway.put(
      status('yard', {
        state: 'backoff',
        cause: 'unreachable',
        retryAt: new Date(Date.now() + 3_600_000).toISOString(),
        error: { code: 'CLEARWAY_SOURCE_UNREACHABLE', message: 'No route to 192.168.1.20', retryable: true },
      }),
    );
    await page.getByText('No route to 192.168.1.20').waitFor();
    await page.getByText(/Next try in 3\d{3} s/).waitFor();
    await page.getByText('No signal').waitFor();
    await page.getByRole('link', { name: 'yard' }).click();
    await page.waitForURL('**/streams/yard');
    await page.goBack();
    await page.getByRole('heading', { name: 'Cameras' }).waitFor();
    assert.deepEqual(complaints, []);
    await page.close();
  },
);

test('a camera that nobody pushes is not asleep; every camera is in the summary', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard', { viewers: { webrtc: 0, hls: 0 } }));
  gateway.streams.set(
    'attic',
    status('attic', { state: 'idle', cause: 'nobody is watching', onDemand: true }),
  );
  gateway.streams.set('porch', status('porch', { state: 'disabled', cause: 'switched off' }));
  const cause = 'waiting for a publisher';
  gateway.streams.set('obs', status('obs', { state: 'idle', source: 'push', cause }));
  const { page } = await site.open('/');
  await page.getByText('4 cameras · 1 live · 1 not pushed · 1 asleep · 1 off · 0 viewers').waitFor();
  const card = page.locator('.card', { hasText: 'obs' });
  await card.getByText('Waiting', { exact: true }).waitFor();
  await card.getByText('No picture').waitFor();
  await card.getByRole('link').click();
  await page.getByText('Nobody pushes this camera').waitFor();
  await page
    .getByText('Waiting for a publisher. The pencil above leads to the address to push to.')
    .waitFor();
  await page.close();
});

test(
  'a camera that passes through as wanted is not shown as one that ought to be restored',
  limit,
  async () => {
    const { gateway } = site;
    const restoration = {
      ...status('yard').restoration!,
      model: 'none',
      reason: 'restoration is switched off',
    };
    gateway.streams.set('plain', status('plain', { restoration }));
    gateway.streams.set(
      'short',
      status('short', { state: 'degraded', restoration: { ...restoration, step: 1 } }),
    );
    const { page } = await site.open('/');
    const card = (name: string) => page.locator('.card', { has: page.getByRole('link', { name }) });
    const colour = (name: string) =>
      card(name)
        .locator('[data-outcome=passthrough]')
        .evaluate((part) => getComputedStyle(part).backgroundColor);
    await card('plain').getByText('off', { exact: true }).waitFor();
    assert.notEqual(await colour('plain'), await colour('short'));
    await page.close();
  },
);

test('adding: problems stand beside their field, then the camera is on the wall', limit, async () => {
  const { gateway } = site;
  const { page } = await site.open('/');
  await page.getByText('No cameras yet').waitFor();
  await page.keyboard.press('n');
  const dialog = page.getByRole('dialog', { name: 'Add camera' });
  await dialog.getByLabel('Name').fill('no spaces');
  await dialog.getByLabel('Camera address').fill('file:///etc/passwd');
  await dialog.getByRole('button', { name: 'Add camera' }).click();
  await dialog.getByText('Use 1 to 64 letters').waitFor();
  await dialog.getByLabel('Camera address').fill('192.168.1.9/live');
  await page.keyboard.press('Enter');
  await dialog.getByText('Write the whole address, from rtsp:// on.').waitFor();
  await dialog.getByLabel('Camera address').fill('file:///etc/passwd');

  gateway.refuse.set('POST /api/v1/streams', {
    status: 400,
    body: { code: 'CLEARWAY_URL_REFUSED', detail: 'Files are only allowed in clearway.yml.' },
  });
  await dialog.getByLabel('Name').fill('porch');
  await dialog.getByRole('button', { name: 'Add camera' }).click();
  await dialog.getByText('Files are only allowed in clearway.yml.').waitFor();
  assert.equal(await dialog.getByLabel('Camera address').getAttribute('aria-invalid'), 'true');

  gateway.refuse.clear();
  await dialog.getByLabel('Camera address').fill('rtsp://192.168.1.9/live');
  await page.keyboard.press('Enter');
  await dialog.waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'porch' }).waitFor();
  await page.close();
});

test('a title stands in place of the name, in any words, until it is taken away', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('cam1', status('cam1', { title: 'Zufahrt' }));
  gateway.streams.set('cam2', status('cam2'));
  const { page, complaints } = await site.open('/');
  await page.getByText('2 cameras').waitFor();
  await page.keyboard.press('n');
  const adding = page.getByRole('dialog', { name: 'Add camera' });
  await adding.getByLabel('Name').fill('kitchen');
  await adding.getByLabel('Title').fill(' Küche, Hintertür ');
  await adding.getByLabel('Camera address').fill('rtsp://192.168.1.9/live');
  await page.keyboard.press('Enter');
  await page.getByText('Küche, Hintertür added.').waitFor();
  assert.equal(gateway.settings.get('kitchen')?.title, 'Küche, Hintertür');
  // In the order in which they are read.
  assert.deepEqual(await page.locator('.card h2').allTextContents(), ['cam2', 'Küche, Hintertür', 'Zufahrt']);

  await page.getByRole('link', { name: 'Küche, Hintertür' }).click();
  await page.waitForURL('**/streams/kitchen');
  await page.getByRole('heading', { level: 1, name: 'Küche, Hintertür' }).waitFor();
  assert.equal(await page.title(), 'Küche, Hintertür · Clearway');
  gateway.put(status('kitchen', { title: 'Küche' }));
  await page.getByRole('heading', { level: 1, name: 'Küche', exact: true }).waitFor();
  assert.equal(await page.title(), 'Küche · Clearway');
  await page.getByRole('img', { name: 'Live picture of Küche', exact: true }).waitFor();
  await page.goBack();

  gateway.settings.set('cam1', { title: 'Zufahrt' });
  const dialog = await edit(page, 'Zufahrt');
  assert.equal(await dialog.getByLabel('Title').inputValue(), 'Zufahrt');
  await dialog.getByLabel('Title').fill('');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('cam1 saved.').waitFor();
  assert.equal(
    gateway.requests.findLast((line) => line.startsWith('PATCH')),
    'PATCH /api/v1/streams/cam1 {"title":null}',
  );
  await page.getByRole('link', { name: 'cam1' }).waitFor();
  // Its place is another then, the focus where it was.
  await page.getByRole('button', { name: 'Edit cam1' }).focus();
  gateway.put(status('cam1', { title: 'Zufahrt' }));
  await page.getByRole('button', { name: 'Edit Zufahrt' }).waitFor();
  gateway.put(status('cam1', { title: 'Ausfahrt' }));
  await page.getByRole('button', { name: 'Edit Ausfahrt' }).waitFor();
  assert.equal(await page.locator('.card h2').first().textContent(), 'Ausfahrt');
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), 'Edit Ausfahrt');
  assert.deepEqual(complaints, []);
  await page.close();
});

test('a camera that pushes gets a key, which is shown once with where to push', limit, async () => {
  const { gateway } = site;
  const { page, complaints } = await site.open('/');
  await page.getByText('No cameras yet').waitFor();
  await page.keyboard.press('n');
  await page.getByLabel('Name').fill('porch');
  await page.getByRole('radio', { name: 'It pushes RTMP' }).check();
  assert.equal(await page.getByLabel('Camera address').isVisible(), false);
  const first = await page.getByLabel('Stream key').inputValue();
  await page.getByRole('button', { name: 'New key' }).click();
  const key = await page.getByLabel('Stream key').inputValue();
  assert.notEqual(key, first);
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });

  await page.keyboard.press('n');
  await page.getByLabel('Name').fill('porch');
  await page.getByRole('radio', { name: 'It pushes RTMP' }).check();
  await page.getByLabel('Stream key').fill('a secret');
  await page.getByRole('button', { name: 'Add camera' }).last().click();
  const guide = page.getByRole('dialog', { name: 'porch added.' });
  await guide.getByText('rtmp://127.0.0.1:1935/live/porch?key=a%20secret').waitFor();
  await guide.getByText('porch?key=a%20secret', { exact: true }).waitFor();
  assert.deepEqual(gateway.settings.get('porch'), {
    name: 'porch',
    source: 'push',
    key: 'a secret',
  });
  assert.deepEqual(await complaintsOf(page), []);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await guide.getByRole('button', { name: 'Copy: Whole address' }).click();
  await guide.getByText('Copied.').waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  assert.equal(copied, 'rtmp://127.0.0.1:1935/live/porch?key=a%20secret');
  await guide.getByRole('button', { name: 'Done' }).click();

  // Beside the other settings a key that is set stays as it is, unseen.
  gateway.streams.set('porch', status('porch', { source: 'push' }));
  gateway.settings.set('porch', { source: 'push', key: '***' });
  await page.reload();
  await page.getByRole('button', { name: 'Edit porch' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit porch' });
  await dialog.getByText('Pushed to rtmp://127.0.0.1:1935/live/porch?key=…').waitFor();
  assert.equal(await dialog.getByLabel('Stream key').inputValue(), '');
  await dialog.getByLabel('Connect only while').check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  const patches = () => gateway.requests.filter((line) => line.startsWith('PATCH /api/v1/streams/porch'));
  assert.deepEqual(patches(), ['PATCH /api/v1/streams/porch {"onDemand":true}']);

  await edit(page, 'porch');
  await dialog.getByLabel('Stream key').fill('another');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page
    .getByRole('dialog', { name: 'porch saved.' })
    .getByText('porch?key=another', { exact: true })
    .waitFor();
  assert.equal(patches().at(-1), 'PATCH /api/v1/streams/porch {"key":"another"}');
  await page.getByRole('button', { name: 'Done' }).click();

  // One removed by mistake is kept after all.
  await edit(page, 'porch');
  await dialog.getByRole('button', { name: 'No key' }).click();
  assert.equal(await dialog.getByLabel('Stream key').getAttribute('placeholder'), 'none');
  await dialog.getByRole('button', { name: 'Keep the key' }).click();
  assert.equal(await dialog.getByLabel('Stream key').getAttribute('placeholder'), 'set, not shown');
  const sent = patches().length;
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(patches().length, sent);

  await edit(page, 'porch');
  await dialog.getByRole('button', { name: 'No key' }).click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(patches().at(-1), 'PATCH /api/v1/streams/porch {"key":null}');
  assert.deepEqual(complaints, []);
  await page.close();
});

test(
  'the form takes no input before the settings are here, and says what to do when they do not come',
  limit,
  async () => {
    const { gateway } = site;
    gateway.streams.set('yard', status('yard'));
    const { page } = await site.open('/');
    const { promise: arrived, resolve: arrive } = Promise.withResolvers<void>();
    await page.route('**/api/v1/streams/yard', async (route) => {
      await arrived;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Edit yard' }).click();
    const dialog = page.getByRole('dialog', { name: 'Edit yard' });
    const title = dialog.getByLabel('Title');
    await title.evaluate((input) => input.focus());
    await page.keyboard.type('lost');
    assert.equal(await title.inputValue(), '');
    arrive();
    await dialog.getByRole('button', { name: 'Save' }).and(page.locator(':enabled')).waitFor();
    await page.keyboard.type('Yard');
    assert.equal(await title.inputValue(), 'Yard');
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });

    await page.unroute('**/api/v1/streams/yard');
    await page.route('**/api/v1/streams/yard', (route) => route.abort());
    await page.getByRole('button', { name: 'Edit yard' }).click();
    await dialog.getByText('The gateway does not answer. Close this and open it again.').waitFor();
    assert.ok(await dialog.getByRole('button', { name: 'Save' }).isDisabled());
    await page.close();
  },
);

test('an address whose hidden password is left in it is not sent', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard'));
  const { page } = await site.open('/');
  const dialog = await edit(page, 'yard');
  await dialog.getByLabel('Camera address').fill('rtsp://***@192.168.1.21/yard');
  const from = gateway.requests.length;
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText('*** stands for what is hidden: type the whole address again.').waitFor();
  assert.ok(!gateway.requests.slice(from).some((line) => line.startsWith('PATCH')));
  await page.close();
});

test('editing sends only what changed; removing asks once more', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard'));
  const { page } = await site.open('/');
  const dialog = await edit(page, 'yard');
  await dialog.getByLabel('RTSP transport').selectOption('udp');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal(
    gateway.requests.findLast((line) => line.startsWith('PATCH')),
    'PATCH /api/v1/streams/yard {"transport":"udp"}',
  );

  await page.getByRole('button', { name: 'Edit yard' }).click();
  await dialog.getByRole('button', { name: 'Remove' }).click();
  assert.ok(gateway.streams.has('yard'));
  await dialog.getByRole('button', { name: 'Remove yard for everybody' }).click();
  await page.getByText('No cameras yet').waitFor();
  assert.ok(!gateway.streams.has('yard'));
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');
  await page.close();
});

test('with auth on, the login comes first; readers get no editing', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard'));
  gateway.session = { auth: true };
  gateway.refuse.set('POST /api/v1/login', {
    status: 401,
    body: { code: 'CLEARWAY_UNAUTHORIZED', detail: 'User and password do not match.' },
  });
  const { page } = await site.open('/');
  await page.getByLabel('User').fill('ada');
  await page.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByText('User and password do not match.').waitFor();
  gateway.refuse.clear();
  await page.getByLabel('Password').fill('right');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Edit yard' }).waitFor();
  assert.equal(await page.evaluate(() => document.activeElement?.id), 'main');

  gateway.session = { auth: true, user: { name: 'bo', role: 'read', streams: ['*'] } };
  await page.reload();
  await page.getByRole('link', { name: 'yard' }).waitFor();
  assert.equal(await page.getByRole('button', { name: 'Edit yard' }).count(), 0);
  assert.equal(await page.getByRole('button', { name: 'Add camera' }).count(), 0);
  await gateway.stop();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByText('You are still signed in: The gateway does not answer.').waitFor();
  await gateway.listen(Number(new URL(site.url).port));
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('heading', { name: 'Sign in to Clearway' }).waitFor();
  await page.close();
});

test(
  'a session that ends leads to the login, over which no dialog stays; the next person sees only their cameras',
  limit,
  async () => {
    const { gateway } = site;
    gateway.streams.set('yard', status('yard'));
    gateway.session = { auth: true, user: { name: 'ada', role: 'admin', streams: ['*'] } };
    const { page } = await site.open('/');
    await edit(page, 'yard');
    gateway.session = { auth: true };
    const detail = 'Sign in first.';
    gateway.refuse.set('PATCH /api/', { status: 401, body: { code: 'CLEARWAY_UNAUTHORIZED', detail } });
    await page.getByLabel('Connect only while').check();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { name: 'Sign in to Clearway' }).waitFor();
    await page.getByRole('dialog').waitFor({ state: 'detached' });

    gateway.streams.clear();
    await page.evaluate(() => {
      new MutationObserver(() => {
        if (document.querySelector('.card')) document.body.dataset.seen = 'yard';
      }).observe(document.body, { childList: true, subtree: true });
    });
    await page.getByLabel('User').fill('bo');
    await page.getByLabel('Password').fill('right');
    await page.keyboard.press('Enter');
    await page.getByText('No cameras yet').waitFor();
    assert.equal(await page.evaluate(() => document.body.dataset.seen), undefined);
    await page.close();
  },
);

test('who may do less from now on is offered no more than that', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard'));
  gateway.session = { auth: true, user: { name: 'ada', role: 'admin', streams: ['*'] } };
  const { page } = await site.open('/');
  await page.getByRole('button', { name: 'Edit yard' }).waitFor();
  gateway.session = { auth: true, user: { name: 'ada', role: 'read', streams: ['*'] } };
  // The gateway closes /events when its users change.
  await gateway.stop();
  await gateway.listen(Number(new URL(site.url).port));
  await page.getByRole('button', { name: 'Edit yard' }).waitFor({ state: 'detached' });
  await page.getByRole('link', { name: 'yard' }).waitFor();
  await page.close();
});

test('a gateway that refuses says why', limit, async () => {
  const { gateway } = site;
  const detail = 'Without auth the gateway answers only to localhost and to addresses: configure auth.';
  gateway.refuse.set('GET /api/v1/streams', { status: 403, body: { code: 'CLEARWAY_FORBIDDEN', detail } });
  const { page } = await site.open('/');
  // A gateway that refuses the list refuses its events, too.
  await page.routeWebSocket('**/events', (socket) => socket.close());
  await page.reload();
  await page.getByRole('heading', { name: 'The gateway refuses' }).waitFor();
  await page.getByText(detail).waitFor();
  await page.close();
});

test('a gateway that goes away is said, and the wall fills itself when it is back', limit, async () => {
  const { gateway } = site;
  gateway.streams.set('yard', status('yard'));
  const { page } = await site.open('/');
  await page.getByText('Connected', { exact: true }).waitFor();
  await gateway.stop();
  await page.getByText('Gateway lost, reconnecting').waitFor();
  gateway.streams.set('porch', status('porch'));
  await gateway.listen(Number(new URL(site.url).port));
  await page.getByRole('link', { name: 'porch' }).waitFor();
  await page.getByText('Connected', { exact: true }).waitFor();
  await page.close();
});

test('a filter in use stays in sight when the cameras become fewer', limit, async () => {
  const { gateway } = site;
  for (let n = 1; n <= 7; n++) gateway.streams.set(`cam${n}`, status(`cam${n}`));
  const { page } = await site.open('/');
  const filter = page.getByRole('searchbox', { name: 'Find a camera' });
  await filter.fill('cam2');
  await page.getByRole('link', { name: 'cam1' }).waitFor({ state: 'hidden' });
  gateway.streams.delete('cam7');
  gateway.broadcast({ type: 'removed', name: 'cam7' });
  await page.getByText('6 cameras').waitFor();
  assert.ok(await filter.isVisible());
  await filter.fill('');
  await page.getByRole('link', { name: 'cam1' }).waitFor();
  await filter.blur();
  await filter.waitFor({ state: 'hidden' });
  await page.close();
});

test('the theme is chosen with one button and remembered', limit, async () => {
  const { page } = await site.open('/');
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const theme = page.getByRole('button', { name: /^Theme/ });
  await theme.click();
  const dark = await background();
  await theme.click();
  const light = await background();
  assert.notEqual(dark, light);
  await page.reload();
  await theme.waitFor();
  assert.equal(await background(), light);
  await page.close();
});
