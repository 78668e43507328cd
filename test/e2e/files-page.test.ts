import assert from 'node:assert/strict';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Page } from 'playwright-core';
import type { JobStatus } from '../../src/contracts/jobs.ts';
import { complaintsOf } from '../support/accessibility.ts';
import { type Browser, launchBrowser } from '../support/browser.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { NUMBERED, readNumbers, renderNumbered } from '../support/numbered.ts';
import { freePort } from '../support/ports.ts';

const TIMEOUT = { timeout: 200_000 };
const FRAMES = 100;

const stack = new AsyncDisposableStack();
let gateway: RunningGateway;
let browser: Browser;
let start: () => Promise<RunningGateway>;
let path: (name: string) => string;

before(async () => {
  const directory = stack.use(await temporaryDirectory());
  path = (name) => join(directory.path, name);
  await renderNumbered(path('numbered.mp4'), { seconds: FRAMES / 25 });
  const port = await freePort();
  // A camera that nobody pushes: without any, the demo would take its share of the cores.
  const streams = { yard: { source: 'push', key: 'secret' } };
  start = () => startGateway({ http: { port }, restorer: { threads: 1 }, streams }, directory.path);
  gateway = await start();
  stack.defer(() => gateway[Symbol.asyncDispose]());
  browser = stack.use(await launchBrowser());
}, TIMEOUT);
after(() => stack.disposeAsync());

async function withPage(where: string, use: (page: Page) => Promise<void>): Promise<void> {
  const page = await browser.context.newPage();
  page.setDefaultTimeout(90_000);
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  try {
    await page.goto(gateway.url + where);
    await use(page);
    assert.deepEqual(errors, []);
  } finally {
    await page.close({ runBeforeUnload: false });
  }
}

/** Drops a file on the page, as from a file manager. */
async function drop(page: Page, file: string): Promise<void> {
  await page.getByText('Drop videos here').waitFor();
  const content = (await readFile(file)).toString('base64');
  await page.evaluate(
    ([name, data]) => {
      const bytes = Uint8Array.from(atob(data!), (character) => character.charCodeAt(0));
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File([bytes], name!, { lastModified: 1 }));
      for (const type of ['dragenter', 'dragover', 'drop']) {
        const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer });
        document.querySelector('.files')!.dispatchEvent(event);
      }
    },
    [basename(file), content],
  );
}

const row = (page: Page, name: string) => page.locator('.file', { hasText: name });

/** Bounds what the page sends, in bytes a second; -1 takes the bound away. */
async function slowDown(page: Page, uploadThroughput: number): Promise<void> {
  const network = await page.context().newCDPSession(page);
  await network.send('Network.enable');
  await network.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: -1,
    uploadThroughput,
  });
}

/** Remembers every line a row says from now on. */
async function listen(page: Page): Promise<() => Promise<string[]>> {
  await page.evaluate(() => {
    const said = new Set<string>();
    Object.assign(globalThis, { said });
    const note = () => {
      for (const line of document.querySelectorAll('.file-line')) said.add(line.textContent ?? '');
    };
    new MutationObserver(note).observe(document.body, {
      childList: true,
      subtree: true,
      characterData: true,
    });
  });
  return () => page.evaluate(() => [...(globalThis as unknown as { said: Set<string> }).said]);
}

interface Seen {
  /** Number of the frame that the player says it shows. */
  named: number;
  /** Number that the picture itself shows. */
  drawn: number;
}

/** Reads the picture now, or at each change for a while. */
function seen(page: Page, changes = 0): Promise<Seen[]> {
  return page.evaluate(
    ([wanted, columns]) => {
      const surface = document.querySelector<HTMLElement>('.picture')!;
      const canvas = surface.querySelector('canvas')!;
      const copy = document.createElement('canvas').getContext('2d', { willReadFrequently: true })!;
      const read = () => {
        copy.canvas.width = canvas.width;
        copy.canvas.height = canvas.height;
        copy.drawImage(canvas, 0, 0);
        let drawn = 0;
        for (let bit = 0; bit < columns!; bit++) {
          const x = Math.floor(((bit + 0.5) * canvas.width) / columns!);
          if (copy.getImageData(x, canvas.height / 2, 1, 1).data[1]! > 120) drawn += 2 ** bit;
        }
        return { named: Number(surface.dataset.frame), drawn };
      };
      if (wanted === 0) return [read()];
      return new Promise<Seen[]>((resolve) => {
        const all: Seen[] = [];
        const observer = new MutationObserver(() => {
          all.push(read());
          if (all.length < wanted!) return;
          observer.disconnect();
          resolve(all);
        });
        observer.observe(surface, { attributes: true, attributeFilter: ['data-frame'] });
      });
    },
    [changes, NUMBERED.width / 16],
  );
}

const frame = (page: Page, n: number) => page.locator(`.picture[data-frame="${n}"]`).waitFor();
const job = async (name: string): Promise<JobStatus | undefined> => {
  const { body } = await gateway.api('GET', '/restore/jobs');
  return (body as { jobs: JobStatus[] }).jobs.find((one) => one.name === name);
};

test('a dropped video is sent, restored, compared frame by frame and downloaded', TIMEOUT, () =>
  withPage('/files', async (page) => {
    assert.deepEqual(await complaintsOf(page), []);
    const said = await listen(page);
    await drop(page, path('numbered.mp4'));
    await row(page, 'numbered.mp4').getByRole('link', { name: 'Compare' }).waitFor();
    const lines = await said();
    assert.ok(
      lines.some((line) => /^Frame \d+ of \d+/.test(line)),
      lines.join('\n'),
    );
    assert.deepEqual(await complaintsOf(page), []);
    await row(page, 'numbered.mp4').getByRole('link', { name: 'Compare' }).click();
    await frame(page, 0);

    for (const n of [1, 2, 3]) {
      await page.keyboard.press('.');
      await frame(page, n);
    }
    await page.keyboard.press(',');
    await frame(page, 2);
    for (const mode of ['Original', 'Restored', 'Compare']) {
      await page.getByRole('radio', { name: mode }).check();
      assert.deepEqual(await seen(page), [{ named: 2, drawn: 2 }], mode);
    }
    await page.getByRole('slider', { name: 'Frame' }).press('End');
    await frame(page, FRAMES - 1);
    assert.deepEqual(await seen(page), [{ named: FRAMES - 1, drawn: FRAMES - 1 }]);
    await page.getByText(`frame ${FRAMES} of ${FRAMES}`).waitFor();

    const divider = page.getByRole('slider', { name: 'Before and after' });
    const box = (await page.locator('.picture').boundingBox())!;
    await page.mouse.move(box.x + box.width / 2, box.y + box.height / 3);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width / 4, box.y + box.height / 3, { steps: 4 });
    await page.mouse.up();
    assert.equal(await divider.getAttribute('aria-valuetext'), '25 % original, 75 % restored');
    assert.deepEqual(await complaintsOf(page), []);

    const download = page.waitForEvent('download');
    await page.getByRole('link', { name: 'Download' }).click();
    const result = path('result.mp4');
    await (await download).saveAs(result);
    assert.match((await download).suggestedFilename(), /^numbered.*\.mp4$/);
    const numbers = (await readNumbers(result)).map(({ number }) => number);
    assert.deepEqual(
      numbers,
      Array.from({ length: FRAMES }, (_, n) => n),
    );
  }),
);

const H264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '3', '-g', '50'];
const PLAYABLE: Record<string, Parameters<typeof renderNumbered>[1]> = {
  'b-frames.mp4': { options: H264 },
  'late-start.mp4': { options: [...H264, '-output_ts_offset', '3'] },
  // Three frames of every eight are missing.
  'variable.mp4': { filter: "select='mod(n,8)-mod(n,3)*2'", options: H264 },
};

for (const [name, options] of Object.entries(PLAYABLE)) {
  test(
    `${name}: original and result play in step, both at the frame that the player names`,
    TIMEOUT,
    async () => {
      const file = await renderNumbered(path(name), options);
      const numbers = (await readNumbers(file)).map(({ number }) => number);
      await withPage('/files', async (page) => {
        await drop(page, file);
        await row(page, name).getByRole('link', { name: 'Compare' }).click();
        await frame(page, 0);
        for (const mode of ['Original', 'Restored']) {
          await page.getByRole('radio', { name: mode }).check();
          await page.getByRole('slider', { name: 'Frame' }).press('Home');
          await frame(page, 0);
          const watched = seen(page, 10);
          await page.getByRole('button', { name: 'Play' }).click();
          for (const { named, drawn } of await watched) assert.equal(drawn, numbers[named], mode);
          assert.equal(await page.locator('.chip-player').getAttribute('title'), '');
          await page.getByRole('button', { name: /Play|Pause/ }).press('k');
        }
      });
    },
  );
}

test('the same file with the same settings is answered from what is kept', TIMEOUT, () =>
  withPage('/files', async (page) => {
    await drop(page, path('numbered.mp4'));
    await page.getByText('numbered.mp4 was restored like this before').waitFor();
  }),
);

test('an original that no browser plays is compared all the same, in its shape', TIMEOUT, async () => {
  await renderNumbered(path('old.avi'), {
    seconds: 2,
    filter: 'setsar=2',
    options: ['-c:v', 'mpeg4', '-q:v', '3', '-g', '50'],
  });
  await withPage('/files', async (page) => {
    await drop(page, path('old.avi'));
    await row(page, 'old.avi').getByRole('link', { name: 'Compare' }).click();
    await frame(page, 0);
    // Its samples are twice as wide as high.
    const { width, height } = (await page.locator('.picture').boundingBox())!;
    assert.ok(Math.abs(width / height - (2 * NUMBERED.width) / NUMBERED.height) < 0.05, `${width} ${height}`);
    await page.getByRole('radio', { name: 'Original' }).check();
    const watched = seen(page, 6);
    await page.keyboard.press(' ');
    for (const { named, drawn } of await watched) assert.equal(drawn, named);
    await page.getByText('frame by frame').waitFor();
  });
});

test(
  'what is no video is refused with the reason; a job is cancelled on the second thought',
  TIMEOUT,
  async () => {
    await writeFile(path('letter.mp4'), 'Dear Sir or Madam, '.repeat(1000));
    await renderNumbered(path('long.mp4'), { seconds: 120 });
    await withPage('/files', async (page) => {
      await drop(page, path('letter.mp4'));
      const letter = row(page, 'letter.mp4');
      await letter.getByRole('alert').filter({ hasText: /video/ }).waitFor();
      await letter.getByRole('button', { name: 'Dismiss: letter.mp4' }).click();
      await letter.waitFor({ state: 'detached' });

      await drop(page, path('long.mp4'));
      const long = row(page, 'long.mp4');
      await long.getByText(/^Frame \d+/).waitFor();
      await long.getByRole('button', { name: 'Cancel: long.mp4' }).click();
      assert.equal((await job('long.mp4'))?.state, 'running');
      await long.getByRole('button', { name: 'Cancel it' }).click();
      await long.getByText('Cancelled.').waitFor();
      assert.equal((await job('long.mp4'))?.state, 'cancelled');
      await long.getByRole('button', { name: 'Dismiss: long.mp4' }).click();
      await long.waitFor({ state: 'detached' });
      assert.equal(await job('long.mp4'), undefined);
    });
  },
);

test(
  'an upload goes on where it stopped: after a pause, a killed gateway and a reload',
  TIMEOUT,
  async () => {
    await renderNumbered(path('raw.avi'), { seconds: 12, options: ['-c:v', 'rawvideo'] });
    await withPage('/files', async (page) => {
      await slowDown(page, 200_000);
      const offsets: number[] = [];
      page.on('request', (request) => {
        if (request.method() === 'PATCH') offsets.push(Number(request.headers()['upload-offset']));
      });
      const line = row(page, 'raw.avi').locator('.file-line');
      const sending = () => line.filter({ hasText: /^Sending [1-9]\d\d KB|^Sending \d\.\d MB/ }).waitFor();
      await drop(page, path('raw.avi'));
      await sending();
      await page.getByRole('button', { name: 'Pause: raw.avi' }).click();
      await line.filter({ hasText: /^Paused at/ }).waitFor();
      await page.getByRole('button', { name: 'Go on: raw.avi' }).click();
      await sending();

      await gateway[Symbol.asyncDispose]();
      await line.filter({ hasText: 'It goes on by itself' }).waitFor();
      await page.getByText('Gateway lost, reconnecting').waitFor();
      gateway = await start();
      await page.getByText('Connected', { exact: true }).waitFor();
      await sending();
      assert.ok(offsets.length >= 3 && offsets[0] === 0, `${offsets}`);

      page.once('dialog', (dialog) => void dialog.accept());
      await page.reload();
      const before = offsets.length;
      await slowDown(page, -1);
      await drop(page, path('raw.avi'));
      await row(page, 'raw.avi').getByRole('link', { name: 'Compare' }).waitFor();
      assert.ok(
        offsets.slice(1).every((offset) => offset > 0) && offsets.length > before,
        `only the first piece began at 0: ${offsets}`,
      );
    });
  },
);

test('a file that goes away while it is sent is said to be gone', TIMEOUT, async () => {
  const file = await renderNumbered(path('gone.avi'), { seconds: 6, options: ['-c:v', 'rawvideo'] });
  await withPage('/files', async (page) => {
    await slowDown(page, 200_000);
    await page.getByRole('button', { name: 'Choose videos' }).waitFor();
    await page.getByLabel('Videos to restore').setInputFiles(file);
    const line = row(page, 'gone.avi').locator('.file-line');
    await line.filter({ hasText: /^Sending [1-9]\d\d KB/ }).waitFor();
    await page.getByRole('button', { name: 'Pause: gone.avi' }).click();
    await rm(file);
    await page.getByRole('button', { name: 'Go on: gone.avi' }).click();
    await line.filter({ hasText: 'it was moved or changed' }).waitFor();
    await page.getByRole('button', { name: 'Dismiss: gone.avi' }).click();
  });
});
