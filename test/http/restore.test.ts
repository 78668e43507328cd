import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import { ClearwayError } from '../../src/contracts/errors.ts';
import type { JobStatus } from '../../src/contracts/jobs.ts';
import { hashToken } from '../../src/http/secrets.ts';
import { openTestJobs, type TestJobs } from '../jobs/service.ts';
import { problem, RestoreClient } from '../support/restore-client.ts';
import { startServer, type TestServer } from './support.ts';

const TUS = { 'tus-resumable': '1.0.0' };
const file = (content: string, name = 'clip.mp4') => ({ name, content: Buffer.from(content) });

describe('who may restore files', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let test: TestJobs;
  const as: Record<string, RestoreClient> = {};
  let own: JobStatus;

  before(async () => {
    test = stack.use(await openTestJobs());
    const tokens = [
      { name: 'ann', token: hashToken('ann'), files: true },
      { name: 'bob', token: hashToken('bob'), files: true },
      { name: 'viewer', token: hashToken('viewer') },
      { name: 'gate-admin', token: hashToken('gate-admin'), role: 'admin' as const, streams: ['gate'] },
      { name: 'admin', token: hashToken('admin'), role: 'admin' as const },
      { name: 'ops', token: hashToken('ops'), role: 'admin' as const, files: false },
    ];
    server = await startServer({ config: { auth: { tokens } }, jobs: test.jobs });
    stack.defer(() => server.http.close());
    for (const { name } of tokens) {
      const headers = { authorization: `Bearer ${name}` };
      as[name] = ['ann', 'bob', 'admin'].includes(name)
        ? stack.use(await RestoreClient.connect(server.url, headers))
        : stack.use(RestoreClient.silent(server.url, headers));
    }
    own = await as.ann!.submit(file('of ann'));
    await test.restoration(0);
  });
  after(() => stack.disposeAsync());

  it('are those the configuration lets, and admins of the whole gateway', async () => {
    for (const name of ['viewer', 'gate-admin', 'ops']) {
      for (const path of ['/restore/jobs', own.urls.self, own.urls.video]) {
        assert.equal((await problem(await as[name]!.fetch(path))).code, 'CLEARWAY_FORBIDDEN', name);
      }
      assert.equal((await as[name]!.refused(file('x'))).code, 'CLEARWAY_FORBIDDEN');
      const begun = await as[name]!.fetch('/restore/uploads', { method: 'POST', headers: TUS });
      assert.equal((await problem(begun)).code, 'CLEARWAY_FORBIDDEN');
    }
    const nobody = await fetch(`${server.url}/restore/jobs`);
    assert.equal(nobody.status, 401);
  });

  it('see and delete their own; an admin all', async () => {
    assert.deepEqual((await as.bob!.jobs()).jobs, []);
    for (const path of [own.urls.self, `${own.urls.video}?rendition=source`, own.urls.frames]) {
      assert.equal((await problem(await as.bob!.fetch(path))).code, 'CLEARWAY_JOB_NOT_FOUND');
    }
    const other = await as.bob!.fetch(own.urls.self, { method: 'DELETE' });
    assert.equal((await problem(other)).code, 'CLEARWAY_JOB_NOT_FOUND');
    assert.equal((await as.admin!.job(own.id)).owner, 'ann');
    assert.equal((await as.admin!.jobs()).jobs.length, 1);
  });

  it('are not answered from what somebody else sent', async () => {
    const same = await as.bob!.submit(file('of ann'));
    assert.notEqual(same.id, own.id);
    assert.equal(same.owner, 'bob');
    await as.bob!.fetch(same.urls.self, { method: 'DELETE' });
  });

  it('hear of their own jobs on /events', async () => {
    (await test.restoration(0)).finish();
    await Promise.all([as.ann!.over(own.id), as.admin!.over(own.id)]);
    await as.admin!.fetch(own.urls.self, { method: 'DELETE' });
    await Promise.all([as.ann!.removed(own.id), as.admin!.removed(own.id)]);
    assert.doesNotMatch(JSON.stringify(as.bob!.events), new RegExp(own.id));
  });

  it('take over only uploads of their own', async () => {
    const begun = await as.ann!.fetch('/restore/uploads', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': '4', 'content-type': 'application/offset+octet-stream' },
      body: 'film',
    });
    const where = begun.headers.get('location')!;
    const upload = where.split('/').at(-1)!;
    const look = await as.bob!.fetch(where, { method: 'HEAD', headers: TUS });
    assert.equal(look.status, 404);
    const taken = await as.bob!.json({ upload });
    assert.equal((await problem(taken)).code, 'CLEARWAY_UPLOAD_NOT_FOUND');
    assert.equal((await as.ann!.json({ upload })).status, 202);
  });
});

describe('/restore', () => {
  const stack = new AsyncDisposableStack();
  let server: TestServer;
  let test: TestJobs;
  let client: RestoreClient;
  let fetched: () => Readable = () => Readable.from([Buffer.from('far film')]);

  before(async () => {
    const fetch = async () => ({ body: fetched(), name: 'far.mp4', bytes: undefined });
    const settings = { maxUpload: 1000, maxQueued: 3, allowedHosts: ['media.example'] };
    test = stack.use(await openTestJobs(settings, { fetch }));
    server = await startServer({
      jobs: test.jobs,
      config: { http: { corsOrigins: ['*', 'https://home.example'] } },
    });
    stack.defer(() => server.http.close());
    client = stack.use(await RestoreClient.connect(server.url));
  });
  after(() => stack.disposeAsync());

  const nothingArrives = async () => assert.deepEqual(await readdir(join(test.directory, 'incoming')), []);

  it('tells the limits', async () => {
    assert.deepEqual((await client.jobs()).limits, { maxUpload: 1000, maxDuration: 14_400, urls: true });
  });

  it('lets no other site’s page change anything, and only named ones read', async () => {
    for (const headers of [
      { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
      { origin: 'https://evil.example' },
    ]) {
      const form = new FormData();
      form.set('file', new Blob(['x']), 'x');
      const sent = await client.fetch('/restore/video', { method: 'POST', headers, body: form });
      assert.equal((await problem(sent)).code, 'CLEARWAY_FORBIDDEN');
      const read = await client.fetch('/restore/jobs', { headers });
      assert.equal(read.headers.get('access-control-allow-origin'), null);
      await read.text();
    }
    await nothingArrives();
    const named = await client.fetch('/restore/jobs', { headers: { origin: 'https://home.example' } });
    assert.equal(named.headers.get('access-control-allow-origin'), 'https://home.example');
    // DNS rebinding: a foreign name for this address.
    const status = await new Promise((resolve) => {
      const headers = { host: 'evil.example' };
      httpRequest(`${server.url}/restore/jobs`, { headers }, ({ statusCode }) => resolve(statusCode)).end();
    });
    assert.equal(status, 403);
  });

  it('takes a resumable upload up where it stopped', async () => {
    const begun = await client.fetch('/restore/uploads', {
      method: 'POST',
      headers: { ...TUS, 'upload-length': '9', 'upload-metadata': `filename ${btoa('../holiday.mp4')}` },
    });
    assert.equal(begun.status, 201);
    const where = begun.headers.get('location')!;
    assert.match(where, /^\/restore\/uploads\/[0-9a-f]{32}$/);
    const upload = where.split('/').at(-1)!;
    const type = { ...TUS, 'content-type': 'application/offset+octet-stream' };
    const send = (offset: number, body: string) =>
      client.fetch(where, { method: 'PATCH', headers: { ...type, 'upload-offset': String(offset) }, body });
    assert.equal((await send(0, 'the ')).headers.get('upload-offset'), '4');
    assert.equal((await problem(await client.json({ upload }))).code, 'CLEARWAY_UPLOAD_INCOMPLETE');
    assert.equal((await problem(await send(2, 'x'))).status, 409);
    assert.equal((await problem(await send(4, 'far too much'))).status, 413);
    const head = await client.fetch(where, { method: 'HEAD', headers: TUS });
    assert.equal(head.headers.get('upload-offset'), '4');
    assert.equal((await send(4, 'film!')).status, 204);
    // What is wrong with the settings does not cost the upload.
    assert.equal((await problem(await client.json({ upload, model: 'none-such' }))).status, 400);
    const job = (await (await client.json({ upload })).json()) as JobStatus;
    assert.equal(job.name, 'holiday.mp4');
    assert.equal(job.input.bytes, 9);
    assert.equal((await problem(await client.json({ upload }))).code, 'CLEARWAY_UPLOAD_NOT_FOUND');
    assert.deepEqual(await readdir(join(test.directory, 'uploads')), []);
    await client.fetch(job.urls.self, { method: 'DELETE' });
  });

  it('says what of tus it speaks, and lets an upload be given up', async () => {
    const options = await client.fetch('/restore/uploads', { method: 'OPTIONS' });
    assert.equal(options.headers.get('tus-max-size'), '1000');
    assert.match(options.headers.get('tus-extension') ?? '', /creation.*termination.*expiration/);
    const headers = { ...TUS, 'upload-length': '9' };
    const begun = await client.fetch('/restore/uploads', { method: 'POST', headers });
    const gone = await client.fetch(begun.headers.get('location')!, { method: 'DELETE', headers: TUS });
    assert.equal(gone.status, 204);
    assert.deepEqual(await readdir(join(test.directory, 'uploads')), []);
    const missing = await client.fetch(begun.headers.get('location')!, { method: 'HEAD', headers: TUS });
    assert.equal(missing.status, 404);
  });

  it('says what is wrong with a form', async () => {
    const part = (field: string, name = '') =>
      `--b\r\nContent-Disposition: form-data; name="${field}"${name && `; filename="${name}"`}\r\n\r\nx\r\n`;
    const form = 'multipart/form-data; boundary=b';
    for (const [type, body, says] of [
      ['multipart/form-data', 'x', /boundary/i],
      [form, 'garbage', /cannot be read/],
      [form, part('file', 'x'), /cannot be read|Unexpected end/],
      [form, `${part('video', 'x')}--b--`, /`file`/],
      [form, `${part('file', 'x')}${part('file', 'y')}--b--`, /more than one file/],
      [form, `${part('codec')}${part('codec')}--b--`, /codec.*twice/],
      [form, `${part('__proto__')}${part('file', 'x')}--b--`, /prototype/],
      [form, `${part('smoothing')}${part('file', 'x')}--b--`, /smoothing/],
      [form, '--b--', /file: is missing/],
      ['text/plain', 'x', /expected object/],
    ] as const) {
      const headers = { 'content-type': type };
      const answer = await problem(await client.fetch('/restore/video', { method: 'POST', headers, body }));
      assert.deepEqual([answer.status, answer.code], [400, 'CLEARWAY_BAD_REQUEST'], body);
      assert.match(answer.detail, says);
    }
    await nothingArrives();
  });

  it('fetches a file, within the same limits', async () => {
    const job = (await (
      await client.json({ url: 'https://media.example/film.mp4', crf: 20 })
    ).json()) as JobStatus;
    assert.deepEqual([job.name, job.input.bytes, job.settings.crf], ['far.mp4', 8, 20]);
    await client.fetch(job.urls.self, { method: 'DELETE' });
    fetched = () => Readable.from([Buffer.alloc(800), Buffer.alloc(800)]);
    const large = await client.json({ url: 'https://media.example/film.mp4' });
    assert.equal((await problem(large)).code, 'CLEARWAY_PAYLOAD_TOO_LARGE');
    fetched = () => {
      const body = new Readable({ read() {} });
      body.push('half');
      setImmediate(() => body.destroy(new Error('the other side went')));
      return body;
    };
    const broken = await client.json({ url: 'https://media.example/film.mp4' });
    assert.equal((await problem(broken)).code, 'CLEARWAY_SOURCE_UNREACHABLE');
    await nothingArrives();
    for (const body of [
      {},
      { url: 'https://media.example/x', upload: '0'.repeat(32) },
      { url: 1 },
      { crf: '20' },
      [],
    ]) {
      assert.equal(
        (await problem(await client.json(body))).code,
        'CLEARWAY_BAD_REQUEST',
        JSON.stringify(body),
      );
    }
  });

  it('takes no more than may wait', async () => {
    const next = test.begun;
    const jobs = [await client.submit(file('a'))];
    await test.restoration(next);
    jobs.push(...(await Promise.all(['b', 'c', 'd'].map((content) => client.submit(file(content))))));
    const full = await client.post(file('e'));
    assert.equal(full.headers.get('retry-after'), '60');
    assert.equal((await problem(full)).code, 'CLEARWAY_OVERLOADED');
    await nothingArrives();
    for (const { urls } of jobs) await client.fetch(urls.self, { method: 'DELETE' });
  });

  it('answers a waiting caller with the error of a job that failed', async () => {
    const next = test.begun;
    const sent = client.post(file('bad'), {}, '?wait=true');
    const attempt = await test.restoration(next);
    attempt.fail(new ClearwayError('CLEARWAY_ENCODER_FAILED', 'The result could not be encoded.'));
    const { status, code } = await problem(await sent);
    assert.deepEqual([status, code], [500, 'CLEARWAY_ENCODER_FAILED']);
    assert.equal((await problem(await client.post(file('x'), {}, '?wait=maybe'))).status, 400);
  });
});
