import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import { status } from './mock-gateway.ts';
import { halfAt, type OpenedPage, openedPage, playing } from './opened-page.ts';

let site: OpenedPage;
before(async () => {
  site = await openedPage();
});
after(() => site[Symbol.asyncDispose]());

const patches = (from = 0) =>
  site.gateway.requests.slice(from).filter((line) => line.startsWith('PATCH /api/'));
const divider = (page: Page) => page.locator('[role=slider].divider');
const valueNow = async (page: Page) => Number(await divider(page).getAttribute('aria-valuenow'));

/** Until the place shows that half: a frame may still be under way. */
async function shows(page: Page, x: number, half: 'camera' | 'restored'): Promise<void> {
  for (let seen = await halfAt(page, x); seen !== half; seen = await halfAt(page, x)) {
    await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(resolve)));
  }
}

test('the divider follows pointer and keys, and each side shows its half of one picture', {
  timeout: 120_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page, complaints } = await site.open('/streams/yard');
  await playing(page, 'webrtc');
  await shows(page, 0.25, 'camera');
  await shows(page, 0.75, 'restored');

  const box = (await page.locator('.picture').boundingBox())!;
  await page.mouse.move(box.x + box.width / 2, box.y + 30);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.9, box.y + 30, { steps: 5 });
  await page.mouse.up();
  assert.equal(await valueNow(page), 90);
  await shows(page, 0.75, 'camera');
  await shows(page, 0.95, 'restored');

  await divider(page).focus();
  await page.keyboard.press('Home');
  assert.equal(await valueNow(page), 0);
  await shows(page, 0.05, 'restored');
  for (const key of ['End', 'ArrowLeft', 'PageDown']) await page.keyboard.press(key);
  assert.equal(await valueNow(page), 89);
  assert.equal(await divider(page).getAttribute('aria-valuetext'), '89 % camera, 11 % restored');

  await page.mouse.dblclick(box.x + 40, box.y + 60);
  assert.equal(await valueNow(page), 50);
  assert.deepEqual(complaints, []);
  await page.close();
});

test('a strength drag is applied with one PATCH, a refused one is taken back in words', {
  timeout: 120_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/streams/yard');
  const strength = page.getByLabel('Strength');
  await page.locator('.controls input[type=range]:enabled').first().waitFor();
  const from = site.gateway.requests.length;
  // All in one turn of the page: a slow machine must not stretch the drag beyond the debounce.
  await strength.evaluate((slider: HTMLInputElement) => {
    for (let percent = 95; percent >= 50; percent -= 5) {
      slider.value = String((Number(slider.max) * percent) / 100);
      slider.dispatchEvent(new Event('input', { bubbles: true }));
    }
    slider.dispatchEvent(new Event('change', { bubbles: true }));
  });
  await page.waitForFunction(() => document.querySelector('.slider output')?.textContent === '50 %');
  // The next change is the event that would come after a second PATCH of the drag.
  await page.getByLabel('Model').selectOption('none');
  while (patches(from).length < 2) await once(site.gateway.heard, 'request');
  assert.deepEqual(patches(from), [
    'PATCH /api/v1/streams/yard {"strength":0.5}',
    'PATCH /api/v1/streams/yard {"model":"none"}',
  ]);

  site.gateway.refuse.set('PATCH /api/', {
    status: 409,
    body: { code: 'CLEARWAY_MODEL_INVALID', detail: 'The model large has a wrong hash.' },
  });
  await page.getByLabel('Model').selectOption('large');
  await page.getByText('Not changed: The model large has a wrong hash.').waitFor();
  assert.equal(await page.getByLabel('Model').inputValue(), 'none');
  site.gateway.refuse.clear();
  await page.close();
});

test('the model is what is set now, also by another page; what is not known cannot be changed', {
  timeout: 120_000,
}, async () => {
  const { gateway } = site;
  const yard = status('yard');
  gateway.put(yard);
  gateway.settings.set('yard', { model: 'lite' });
  const { page } = await site.open('/streams/yard');
  const model = page.getByLabel('Model');
  await page.waitForFunction(() => document.querySelector('select')?.value === 'lite');
  gateway.settings.set('yard', { model: 'none' });
  gateway.put({ ...yard, restoration: { ...yard.restoration!, model: 'none' } });
  await page.waitForFunction(() => document.querySelector('select')?.value === 'none');

  const detail = 'The models are being opened.';
  gateway.refuse.set('GET /api/v1/models', { status: 503, body: { code: 'CLEARWAY_RESTORER_DOWN', detail } });
  await page.reload();
  await page.getByText(`The settings are not known: ${detail}`).waitFor();
  assert.ok(await model.isDisabled());
  gateway.refuse.clear();
  await gateway.stop();
  await gateway.listen(Number(new URL(site.url).port));
  await page.waitForFunction(
    () => document.querySelector<HTMLSelectElement>('select:enabled')?.value === 'none',
  );
  assert.equal(await page.getByText('The settings are not known').count(), 0);
  gateway.settings.delete('yard');
  await page.close();
});

test('modes ask for their own rendition and the keys switch them', { timeout: 120_000 }, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/streams/yard');
  await playing(page, 'webrtc');
  await page.keyboard.press('r');
  assert.ok(await page.getByRole('radio', { name: 'Restored' }).isChecked());
  await page.locator('.picture[data-shows=restored]').waitFor();
  assert.equal(await divider(page).isVisible(), false);
  await page.keyboard.press('c');
  await page.locator('.picture[data-shows=compare]').waitFor();
  await page.keyboard.press('?');
  await page.getByRole('dialog', { name: 'Keys' }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'detached' });
  await page.close();
});

test('players report what they measured from arrival to glass', { timeout: 120_000 }, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/streams/yard');
  await page.locator('tr[data-row=glass] td:last-child').filter({ hasText: /^\d/ }).waitFor();
  const [report] = await once(site.gateway.heard, 'report');
  assert.equal(report.protocol, 'webrtc');
  assert.ok(report.ms.length > 0 && report.ms.length <= 256);
  // A generous bound that only a wrong clock or a wrong 32-bit cut would break.
  assert.ok(
    report.ms.every((ms: number) => ms >= 0 && ms < 30_000),
    `${report.ms}`,
  );
  await page.close();
});

test('without WebRTC it plays HLS and says why; WebRTC is back once it works', {
  timeout: 180_000,
}, async () => {
  site.gateway.put(status('yard'));
  site.gateway.refuse.set('POST /whep/', {
    status: 503,
    body: { code: 'CLEARWAY_OVERLOADED', detail: 'All 60 WebRTC places are taken.' },
  });
  const { page } = await site.open('/streams/yard');
  await playing(page, 'hls');
  await shows(page, 0.25, 'camera');
  await shows(page, 0.75, 'restored');
  await page.getByText('All 60 WebRTC places are taken.').waitFor();
  site.gateway.refuse.clear();
  await playing(page, 'webrtc');
  await page.close();
});

test('a browser without WebRTC plays HLS, live again when its page was hidden', {
  timeout: 120_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page, complaints } = await site.open('/files');
  await page.addInitScript(() => Reflect.deleteProperty(window, 'RTCPeerConnection'));
  complaints.length = 0;
  await page.goto(`${site.url}/streams/yard`);
  await playing(page, 'hls');
  await page.getByText('This browser has WebRTC switched off.').waitFor();
  // What a browser does to a hidden page, which headless ones never are: it pauses the video, and goes on there later.
  const skipped = await page.evaluate(async () => {
    const video = document.querySelector('video')!;
    video.pause();
    const left = video.currentTime;
    while (video.seekable.end(0) - left < 8) await new Promise((done) => setTimeout(done, 100));
    document.dispatchEvent(new Event('visibilitychange'));
    await new Promise((done) => video.addEventListener('seeked', done, { once: true }));
    return video.currentTime - left;
  });
  assert.ok(skipped > 1, `${skipped} s`);
  await page.waitForFunction(() => !document.querySelector('video')!.paused);
  assert.deepEqual(complaints, []);
  await page.close();
});

test('how long until the next try goes by the time of day, also after the gateway’s host was suspended', {
  timeout: 120_000,
}, async () => {
  const { gateway } = site;
  Object.assign(gateway, { ahead: 7_200_000, suspended: 3_600_000 });
  const retryAt = new Date(Date.now() + gateway.ahead + 55_000).toISOString();
  gateway.put(status('yard', { state: 'backoff', cause: 'no route to the camera', retryAt }));
  const { page } = await site.open('/streams/yard');
  await page
    .locator('.overlay')
    .getByText(/ in [1-5]?\d s\.$/)
    .waitFor();
  // Screen readers are told the cause, once, and no countdown.
  assert.equal(
    await page.locator('.overlay [role=status]').textContent(),
    'No signalNo route to the camera.',
  );
  Object.assign(gateway, { ahead: 0, suspended: 0 });
  await page.close();
});

test('a viewer who is refused is told so for as long as it lasts, and let in once allowed', {
  timeout: 180_000,
}, async () => {
  const { gateway } = site;
  gateway.put(status('yard'));
  gateway.refuse.set('POST /whep/', {
    status: 403,
    body: { code: 'CLEARWAY_FORBIDDEN', detail: 'bo may not read stream yard.' },
  });
  const from = gateway.requests.length;
  const { page } = await site.open('/streams/yard');
  const title = page.locator('.overlay b');
  await title.getByText('Not allowed').waitFor();
  await title.evaluate((element) => {
    new MutationObserver(() => {
      document.body.dataset.said = element.textContent ?? '';
    }).observe(element, { childList: true, characterData: true, subtree: true });
  });
  const offers = () => gateway.requests.slice(from).filter((line) => line.startsWith('POST /whep/')).length;
  // It asks again by itself, and nobody sees it.
  while (offers() < 2) await once(gateway.heard, 'request');
  assert.equal(await page.evaluate(() => document.body.dataset.said), undefined);
  // Who may watch was changed: the gateway closes /events, and the page asks at once.
  gateway.refuse.clear();
  await gateway.stop();
  await gateway.listen(Number(new URL(site.url).port));
  await playing(page, 'webrtc');
  await page.close();
});

test('where neither plays it is said why not over WebRTC', { timeout: 120_000 }, async () => {
  const { gateway } = site;
  gateway.put(status('yard'));
  const detail = 'All 60 viewer places are taken; try again shortly.';
  gateway.refuse.set('POST /whep/', { status: 503, body: { code: 'CLEARWAY_OVERLOADED', detail } });
  gateway.refuse.set('GET /hls/', { status: 404, body: { code: 'CLEARWAY_NOT_FOUND' } });
  const { page } = await site.open('/streams/yard');
  await page.locator('.overlay').getByText(`${detail} There is no HLS picture yet.`).waitFor();
  gateway.refuse.clear();
  await playing(page, 'webrtc');
  await page.close();
});

test('a picture that never comes over WebRTC ends in HLS', { timeout: 180_000 }, async () => {
  site.gateway.put(status('yard'));
  site.media.frozen = true;
  const { page } = await site.open('/streams/yard');
  await playing(page, 'hls');
  await page.getByText('WebRTC gave no picture within 4 s.').waitFor();
  site.media.frozen = false;
  await page.close();
});

test('a restarted gateway: the last picture stays, dimmed and explained, and comes back by itself', {
  timeout: 180_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/streams/yard');
  await playing(page, 'webrtc');
  await page.evaluate(() => {
    document.body.dataset.same = 'yes';
  });
  await site.media.dropPeers();
  await site.gateway.stop();
  await page.locator('.picture[data-dimmed=true]').waitFor();
  await page.getByText('It does not answer. The picture comes back by itself.').waitFor();
  assert.equal(await page.locator('.picture .badge').isVisible(), false);
  await shows(page, 0.75, 'restored');
  await site.gateway.listen(Number(new URL(site.url).port));
  await page.locator('.picture[data-dimmed=false]').waitFor();
  await playing(page, 'webrtc');
  assert.equal(await page.evaluate(() => document.body.dataset.same), 'yes');
  await page.close();
});

test('a camera without signal says so and plays when it is back', { timeout: 120_000 }, async () => {
  site.gateway.put(
    status('gate', {
      state: 'backoff',
      cause: 'unreachable',
      error: {
        code: 'CLEARWAY_SOURCE_UNAUTHORIZED',
        message: 'The camera refused the password',
        retryable: true,
      },
    }),
  );
  site.media.frozen = true;
  const { page } = await site.open('/streams/gate');
  await page.locator('.overlay').getByText('The camera refused the password').waitFor();
  const still = page.getByRole('button', { name: 'Save a still' });
  assert.ok(await still.isDisabled());
  site.media.frozen = false;
  site.gateway.put(status('gate'));
  await playing(page, 'webrtc');
  await page.locator('.overlay').waitFor({ state: 'hidden' });
  site.gateway.snapshot = Buffer.from('a picture');
  const saved = page.waitForEvent('download');
  await still.click();
  assert.match((await saved).suggestedFilename(), /^gate-compare-20[-\dT]+\.jpg$/);
  assert.match((await saved).url(), /\/snapshot\/gate\.jpg\?rendition=compare$/);
  site.gateway.streams.delete('gate');
  site.gateway.broadcast({ type: 'removed', name: 'gate' });
  await page.getByText('There is no camera named gate').waitFor();
  // Put back with hardware that had to be given up: said, and played again without a reload.
  const { input } = status('gate');
  const decoder = 'software (cuda: no such device)';
  site.gateway.put(
    status('gate', { input: { ...input!, decoder }, encoders: { compare: 'nvenc', restored: 'nvenc' } }),
  );
  await playing(page, 'webrtc');
  await page.getByText(decoder).waitFor();
  await page.getByText('NVENC', { exact: true }).waitFor();
  await page.close();
});

test('a page hidden for a minute stops playing, unless it is listened to; seen again it plays', {
  timeout: 120_000,
}, async () => {
  const { gateway } = site;
  gateway.put(status('yard'));
  const { page } = await site.open('/');
  // Headless pages are never hidden, and nobody waits a minute: both are played to the page.
  await page.clock.install();
  await page.addInitScript(() => {
    let hidden = false;
    Object.defineProperty(document, 'hidden', { get: () => hidden });
    addEventListener('test:hidden', (event) => {
      hidden = (event as CustomEvent<boolean>).detail;
      document.dispatchEvent(new Event('visibilitychange'));
    });
  });
  const hide = (hidden: boolean) =>
    page.evaluate((detail) => dispatchEvent(new CustomEvent('test:hidden', { detail })), hidden);
  const from = gateway.requests.length;
  const count = (method: string) =>
    gateway.requests.slice(from).filter((line) => line.startsWith(`${method} /whep/yard`)).length;
  await page.goto(`${site.url}/streams/yard`);
  await playing(page, 'webrtc');

  await hide(true);
  await page.clock.fastForward(59_000);
  await hide(false);
  await page.keyboard.press('m');
  await hide(true);
  await page.clock.fastForward(61_000);
  assert.deepEqual([count('POST'), count('DELETE')], [1, 0]);

  await page.keyboard.press('m');
  await page.clock.fastForward(61_000);
  while (count('DELETE') === 0) await once(gateway.heard, 'request');
  await page.locator('.chip-player').waitFor({ state: 'hidden' });
  assert.equal(count('POST'), 1);
  await hide(false);
  await playing(page, 'webrtc');
  assert.equal(count('POST'), 2);
  await page.close();
});

test('the screen is kept from going dark for as long as there is a picture', {
  timeout: 120_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/files');
  // What a screen does cannot be seen here, only what the browser was asked for and granted.
  await page.addInitScript(() => {
    const locks: WakeLockSentinel[] = [];
    Object.assign(window, { locks });
    const { request } = WakeLock.prototype;
    WakeLock.prototype.request = async function (type) {
      const lock = await request.call(this, type);
      locks.push(lock);
      return lock;
    };
  });
  const held = (count: number) =>
    page.waitForFunction((wanted) => {
      const { locks } = window as typeof window & { locks: WakeLockSentinel[] };
      return locks.filter(({ released }) => !released).length === wanted;
    }, count);
  await page.goto(`${site.url}/streams/yard`);
  await playing(page, 'webrtc');
  await held(1);
  site.gateway.put(status('yard', { state: 'backoff', cause: 'unreachable' }));
  await held(0);
  site.gateway.put(status('yard'));
  await held(1);
  await page.getByRole('link', { name: 'Files' }).click();
  await held(0);
  await page.close();
});

test('full screen is the whole screen; the controls leave it and come back', {
  timeout: 120_000,
}, async () => {
  site.gateway.put(status('yard'));
  const { page } = await site.open('/streams/yard', { width: 1280, height: 720 });
  await playing(page, 'webrtc');
  await page.keyboard.press('f');
  await page.waitForFunction(() => document.fullscreenElement !== null);
  const { width, height } = (await page.locator('.picture').boundingBox())!;
  assert.deepEqual([Math.round(width), Math.round(height)], [1280, 720]);
  const seen = (locator: string, opacity: string) =>
    page.waitForFunction(
      ([selector, wanted]) => getComputedStyle(document.querySelector(selector!)!).opacity === wanted,
      [locator, opacity],
    );
  await seen('.toolbar', '0');
  await page.mouse.move(100, 100);
  await seen('.toolbar', '1');
  await seen('.toolbar', '0');
  // What is wrong with a camera is said however long nobody moves.
  site.gateway.put(status('yard', { state: 'degraded', cause: 'not restored' }));
  await seen('.picture .badge', '1');
  await page.keyboard.press('f');
  await seen('.toolbar', '1');
  await page.close();
});

test('a camera without sound has none to turn on', { timeout: 120_000 }, async () => {
  const { gateway } = site;
  gateway.put(status('yard', { input: { ...status('yard').input!, hasAudio: false } }));
  const { page } = await site.open('/streams/yard');
  await playing(page, 'webrtc');
  await page
    .getByRole('button', { name: 'This camera sends no sound' })
    .and(page.locator(':disabled'))
    .waitFor();
  gateway.put(status('yard'));
  await page.getByRole('button', { name: 'Turn sound on' }).click();
  await page.getByRole('button', { name: 'Turn sound off' }).waitFor();
  await page.close();
});

test('on a phone nothing is wider than the screen', { timeout: 120_000 }, async () => {
  const { gateway } = site;
  gateway.put(status('yard', { title: 'W'.repeat(80) }));
  gateway.session = { auth: true, user: { name: 'w'.repeat(64), role: 'admin' } };
  const { page } = await site.open('/streams/yard', { width: 390, height: 844 });
  await playing(page, 'webrtc');
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 390);
  gateway.session = { auth: false };
  await page.close();
});
