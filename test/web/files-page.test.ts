import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import type { JobLimits, JobStatus } from '../../src/contracts/jobs.ts';
import { complaintsOf } from '../support/accessibility.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { type OpenedPage, openedPage } from './opened-page.ts';

const limit = { timeout: 120_000 };
const LIMITS: JobLimits = { maxUpload: 1000, maxDuration: 14_400, urls: false };

let site: OpenedPage;
before(async () => {
  site = await openedPage();
});
after(() => site[Symbol.asyncDispose]());
beforeEach(() => {
  site.gateway.refuse.clear();
  site.gateway.session = { auth: false };
  jobs();
});

function jobs(...list: JobStatus[]): void {
  site.gateway.refuse.set('GET /restore/jobs', { status: 200, body: { jobs: list, limits: LIMITS } });
}

function job(name: string, over: Partial<JobStatus> = {}): JobStatus {
  const id = Buffer.from(name).toString('hex').padEnd(32, '0').slice(0, 32);
  return {
    id,
    name,
    state: 'queued',
    owner: 'ada',
    created: new Date().toISOString(),
    attempts: 1,
    settings: {
      target_resolution: 'source',
      denoise_strength: 1,
      model: 'auto',
      smoothing: 0.5,
      codec: 'h264',
      container: 'mp4',
    },
    input: { bytes: 1000, container: 'avi', codec: 'mpeg4', width: 320, height: 240, hasAudio: false },
    urls: {
      self: `/restore/jobs/${id}`,
      video: `/restore/jobs/${id}/video`,
      frames: `/restore/jobs/${id}/frames`,
      compare: `/files/${id}`,
    },
    ...over,
  };
}

test('where files are not restored the page says so, and where to allow it', limit, async () => {
  site.gateway.refuse.set('GET /restore/jobs', {
    status: 404,
    body: { code: 'CLEARWAY_JOBS_DISABLED', detail: 'Files are not restored here: jobs.enabled is false.' },
  });
  const { page } = await site.open('/files');
  await page.getByText('Files are not restored here: jobs.enabled is false.').waitFor();
  assert.equal(await page.getByText('Drop videos here').isVisible(), false);
  assert.deepEqual(await complaintsOf(page), []);
  await page.goto(`${site.url}/files/${'0'.repeat(32)}`);
  await page.getByText('Files are not restored here: jobs.enabled is false.').waitFor();
  await page.close();
});

test('who may not have files restored is told who could allow it', limit, async () => {
  site.gateway.session = { auth: true, user: { name: 'bo', role: 'read' } };
  site.gateway.refuse.set('GET /restore/jobs', {
    status: 403,
    body: { code: 'CLEARWAY_FORBIDDEN', detail: 'bo may not restore files; see auth (files: true).' },
  });
  const { page } = await site.open('/files');
  await page.getByText('Bo may not restore files; see auth (files: true).').waitFor();
  assert.equal(await page.getByRole('button', { name: 'Choose videos' }).isVisible(), false);
  assert.equal(await page.getByText('How to restore').isVisible(), false);
  await page.close();
});

test('what cannot be taken is refused before it is sent', limit, async () => {
  await using directory = await temporaryDirectory();
  const [large, empty] = ['large.mp4', 'empty.mp4'].map((name) => join(directory.path, name));
  await writeFile(large!, Buffer.alloc(1001));
  await writeFile(empty!, '');
  const { page } = await site.open('/files');
  const from = site.gateway.requests.length;
  await page.getByRole('button', { name: 'Choose videos' }).waitFor();
  await page.getByLabel('Videos to restore').setInputFiles([large!, empty!]);
  await page.getByText('The file has 1 KB. This gateway takes at most 1 KB; jobs.maxUpload').waitFor();
  await page.getByText('The file is empty.').waitFor();
  assert.ok(!site.gateway.requests.slice(from).some((line) => line.includes('/restore/uploads')));
  assert.deepEqual(await complaintsOf(page), []);
  await page.close();
});

test(
  'a page from before an upgrade of the gateway says so when it misses a part of itself',
  limit,
  async () => {
    await using directory = await temporaryDirectory();
    const file = join(directory.path, 'film.mp4');
    await writeFile(file, 'film');
    const { page } = await site.open('/files');
    await page.getByRole('button', { name: 'Choose videos' }).waitFor();
    await page.route('**/assets/*.js', (route) => route.fulfill({ status: 404, body: '' }));
    await page.getByLabel('Videos to restore').setInputFiles(file);
    await page.getByText('This page is older than the gateway: reload it.').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0);
    await page.close();
  },
);

test('an address is fetched by the gateway, or refused beside the field', limit, async () => {
  const { gateway } = site;
  gateway.refuse.set('GET /restore/jobs', {
    status: 200,
    body: { jobs: [], limits: { ...LIMITS, urls: true } },
  });
  gateway.refuse.set('POST /restore/video', {
    status: 400,
    body: { code: 'CLEARWAY_URL_REFUSED', detail: 'it is on a host that is not in jobs.allowedHosts.' },
  });
  const { page } = await site.open('/files');
  const field = page.getByLabel('Address of a video');
  await field.fill('media.example/gate.mp4');
  await field.press('Enter');
  await page.getByText('Write the whole address').waitFor();
  await field.fill('https://media.example/gate.mp4');
  await field.press('Enter');
  await page.getByText('It is on a host that is not in jobs.allowedHosts.').waitFor();
  assert.deepEqual(await complaintsOf(page), []);
  gateway.refuse.set('POST /restore/video', { status: 202, body: { ...job('gate.mp4') } });
  await field.press('Enter');
  await page.getByText('gate.mp4 is on its way.').waitFor();
  await page.locator('.file', { hasText: 'gate.mp4' }).waitFor();
  assert.equal(await field.inputValue(), '');

  // Elsewhere, too, it is said what runs and what is done.
  await page.getByRole('link', { name: 'Cameras', exact: true }).click();
  gateway.broadcast({ type: 'job', job: job('gate.mp4', { state: 'running' }) });
  await page.getByRole('link', { name: 'Files 1 being restored' }).waitFor();
  gateway.broadcast({ type: 'job', job: job('gate.mp4', { state: 'done' }) });
  await page.getByText('gate.mp4 is restored.').waitFor();
  await page.getByRole('link', { name: 'Files', exact: true }).waitFor();
  await page.close();
});

test('settings are remembered, and a codec brings its own quality', limit, async () => {
  const { page } = await site.open('/files');
  await page.getByLabel('Resolution').selectOption('1080p');
  await page.getByRole('slider', { name: 'Quality' }).press('ArrowRight');
  await page.getByText('CRF 17', { exact: true }).waitFor();
  await page.getByRole('radio', { name: 'AV1' }).check();
  await page.getByText('CRF 28, usual').waitFor();
  await page.reload();
  await page.getByText('CRF 28, usual').waitFor();
  assert.equal(await page.getByLabel('Resolution').inputValue(), '1080p');
  // A narrow screen folds them away, and says what is chosen.
  await page.setViewportSize({ width: 390, height: 800 });
  await page.reload();
  await page.getByText('1080p · automatic model · AV1').waitFor();
  assert.equal(await page.getByLabel('Resolution').isVisible(), false);
  await page.close();
});

test('jobs move as the gateway tells, and come back with it after it was away', limit, async () => {
  const { gateway } = site;
  const running = job('gate.avi', {
    state: 'running',
    progress: { stage: 'restoring', frames: 50, total: 200, fps: 12.5, left: 12 },
  });
  jobs(running, job('yard.avi', { created: new Date(Date.now() + 1000).toISOString() }));
  const { page } = await site.open('/files');
  await page.getByText('Frame 50 of 200 · 12.5 fps · 12 s left').waitFor();
  await page.getByText('Waiting: 1 file before it.').waitFor();
  const bar = page.getByRole('progressbar', { name: 'Progress of gate.avi' });
  assert.equal(await bar.getAttribute('aria-valuenow'), '25');
  assert.match(await page.title(), /^25 % · Files/);

  const error = { code: 'CLEARWAY_INFERENCE_FAILED', message: 'the model failed', retryable: false } as const;
  gateway.broadcast({ type: 'job', job: { ...running, state: 'failed', error } });
  await page.getByText('The model failed.').waitFor();
  await page.getByText('Waiting for its turn.').waitFor();
  gateway.broadcast({ type: 'job-removed', id: running.id });
  await page.locator('.file', { hasText: 'gate.avi' }).waitFor({ state: 'detached' });

  await gateway.stop();
  await page.getByText('Gateway lost, reconnecting').waitFor();
  jobs(job('porch.avi'));
  await gateway.listen(Number(new URL(site.url).port));
  await page.locator('.file', { hasText: 'porch.avi' }).waitFor();
  await page.locator('.file', { hasText: 'yard.avi' }).waitFor({ state: 'detached' });
  await page.close();
});

test('how long ago goes by the gateway’s clock, not the viewer’s', limit, async () => {
  site.gateway.ahead = 3_600_000;
  const at = (minutesAgo: number) =>
    new Date(Date.now() + site.gateway.ahead - minutesAgo * 60_000).toISOString();
  jobs(job('gate.avi', { state: 'cancelled', created: at(9), finished: at(7.5) }));
  const { page } = await site.open('/files');
  await page.getByText('7 min ago').waitFor();
  site.gateway.ahead = 0;
  await page.close();
});

test('a job that is opened says how far it is, and what became of it', limit, async () => {
  const running = job('gate.avi', { state: 'running' });
  jobs(running);
  const { page } = await site.open(running.urls.compare);
  await page.getByText('Looking at the file.').waitFor();
  const error = {
    code: 'CLEARWAY_PICTURE_SIZE',
    message: 'the picture is too large',
    retryable: false,
  } as const;
  site.gateway.broadcast({ type: 'job', job: { ...running, state: 'failed', error } });
  await page.getByText('The picture is too large.').waitFor();
  site.gateway.broadcast({ type: 'job-removed', id: running.id });
  await page.getByText('There is no such file').waitFor();
  assert.deepEqual(await complaintsOf(page), []);
  await page.getByRole('link', { name: 'All files' }).last().click();
  await page.getByText('Drop videos here').waitFor();
  await page.close();
});
