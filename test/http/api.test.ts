import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { after, before, beforeEach, describe, it } from 'node:test';
import { now } from '../../src/contracts/time.ts';
import { rtmpSchema, statusSchema } from '../../src/http/schemas.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { answer, jsonRequest, startServer, type TestServer } from './support.ts';

describe('/api/v1', { timeout: 120_000 }, () => {
  let server: TestServer;
  let lines = '';
  const call = (path: string, init?: RequestInit) => fetch(server.url + path, init).then(answer);

  before(async () => {
    const out = new PassThrough();
    out.on('data', (chunk: Buffer) => {
      lines += chunk;
    });
    server = await startServer({ logger: createLogger({ level: 'trace', format: 'json' }, out) });
  });
  beforeEach(async () => {
    server.control.streams.clear();
    await server.control.create('gate', {
      source: 'rtsp://user:hunter2@cam/1',
      key: 'hunter3',
      strength: 0.5,
    });
  });
  after(() => server.http.close());

  it('lists streams as the contract has them', async () => {
    const { status, body } = await call('/api/v1/streams');
    assert.equal(status, 200);
    const [gate] = body as unknown as unknown[];
    assert.equal(statusSchema.strict().parse(gate).name, 'gate');
  });

  it('shows one stream with its settings and no secret', async () => {
    const { status, body } = await call('/api/v1/streams/gate');
    assert.equal(status, 200);
    assert.deepEqual(body.settings, { source: 'rtsp://***@cam/1', key: '***', strength: 0.5 });
    assert.doesNotMatch(JSON.stringify(body), /hunter/);
  });

  it('adds a stream and says where it is', async () => {
    const response = await fetch(
      `${server.url}/api/v1/streams`,
      jsonRequest('POST', { name: 'door', source: 'push', latencyBudget: '200ms' }),
    );
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('location'), '/api/v1/streams/door');
    assert.equal(response.headers.get('cache-control'), 'no-store');
    assert.deepEqual(server.control.streams.get('door')?.settings, {
      source: 'push',
      latencyBudget: '200ms',
    });
  });

  it('passes on just the settings of a change, no defaults', async () => {
    const { status } = await call('/api/v1/streams/gate', jsonRequest('PATCH', { strength: 0.8 }));
    assert.equal(status, 200);
    assert.deepEqual(server.control.streams.get('gate')?.settings, {
      source: 'rtsp://user:hunter2@cam/1',
      key: 'hunter3',
      strength: 0.8,
    });
  });

  it('takes a key out, and another setting back to its default, for null', async () => {
    const { status } = await call(
      '/api/v1/streams/gate',
      jsonRequest('PATCH', { key: null, strength: null }),
    );
    assert.equal(status, 200);
    assert.deepEqual(server.control.streams.get('gate')?.settings, { source: 'rtsp://user:hunter2@cam/1' });
  });

  it('takes a title and takes it out for null', async () => {
    const patch = (title: string | null) =>
      call('/api/v1/streams/gate', jsonRequest('PATCH', { key: null, strength: null, title }));
    assert.equal((await patch('Küche, Hintertür')).status, 200);
    assert.equal(server.control.streams.get('gate')?.settings.title, 'Küche, Hintertür');
    assert.equal((await patch(null)).status, 200);
    assert.deepEqual(server.control.streams.get('gate')?.settings, { source: 'rtsp://user:hunter2@cam/1' });
  });

  it('refuses a redacted secret sent back, which would overwrite the real one', async () => {
    for (const patch of [{ source: 'rtsp://***@cam/1' }, { key: '***' }]) {
      const { status, body } = await call('/api/v1/streams/gate', jsonRequest('PATCH', patch));
      assert.equal(status, 400);
      assert.match(String(body.detail), /\*\*\* stands for a secret/);
    }
  });

  it('removes a stream', async () => {
    assert.equal((await call('/api/v1/streams/gate', { method: 'DELETE' })).status, 204);
    assert.equal((await call('/api/v1/streams/gate')).status, 404);
  });

  for (const [what, method, path, body, status, code, detail] of [
    ['a stream that is there', 'POST', '', { name: 'gate', source: 'push' }, 409, 'STREAM_EXISTS', /already/],
    [
      'a name for a path',
      'POST',
      '',
      { name: '../x', source: 'push' },
      400,
      'BAD_REQUEST',
      /^name: use 1 to 64/,
    ],
    ['no source', 'POST', '', { name: 'x' }, 400, 'BAD_REQUEST', /^source: is required/],
    ['a mistyped setting', 'PATCH', '/gate', { strenght: 1 }, 400, 'BAD_REQUEST', /did you mean "strength"/],
    [
      'who chose a source',
      'PATCH',
      '/gate',
      { origin: 'file' },
      400,
      'BAD_REQUEST',
      /^origin: cannot be set/,
    ],
    [
      'who chose a new one',
      'POST',
      '',
      { name: 'x', source: 'push', origin: 'file' },
      400,
      'BAD_REQUEST',
      /^origin: /,
    ],
    ['that it is nobody', 'PATCH', '/gate', { origin: null }, 400, 'BAD_REQUEST', /^origin: /],
    [
      'a value out of range',
      'PATCH',
      '/gate',
      { strength: 2 },
      400,
      'BAD_REQUEST',
      /^strength: must be 0 to 1/,
    ],
    [
      'a model outside models/',
      'PATCH',
      '/gate',
      { model: '../etc' },
      400,
      'BAD_REQUEST',
      /^model: name a dir/,
    ],
    ['a title of two lines', 'PATCH', '/gate', { title: 'a\nb' }, 400, 'BAD_REQUEST', /^title: write words/],
    ['no source', 'PATCH', '/gate', { source: null }, 400, 'BAD_REQUEST', /^source: must be text/],
    ['null', 'PATCH', '/gate', null, 400, 'BAD_REQUEST', /^body: must be a map/],
    ['a list', 'POST', '', [], 400, 'BAD_REQUEST', /^body: must be a map/],
    ['an unknown stream', 'PATCH', '/nowhere', { strength: 1 }, 404, 'STREAM_NOT_FOUND', /no stream nowhere/],
    ['an object method', 'PATCH', '/constructor', { strength: 1 }, 404, 'STREAM_NOT_FOUND', /no stream/],
    ['a huge body', 'POST', '', { name: 'x', source: 'x'.repeat(70_000) }, 413, 'PAYLOAD_TOO_LARGE', /large/],
  ] as const) {
    it(`answers ${what} with ${status}`, async () => {
      const got = await call(`/api/v1/streams${path}`, jsonRequest(method, body));
      assert.deepEqual([got.status, got.body.code], [status, `CLEARWAY_${code}`]);
      assert.match(String(got.body.detail), detail);
    });
  }

  it('does not let a page of another site change anything', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }]) {
      const { status, body } = await call('/api/v1/streams/gate', { method: 'DELETE', headers });
      assert.deepEqual([status, body.code], [403, 'CLEARWAY_FORBIDDEN']);
    }
    const own = await call('/api/v1/streams/gate', { method: 'DELETE', headers: { origin: server.url } });
    assert.equal(own.status, 204);
  });

  it('limits how fast streams are added', async () => {
    const attempts = await Promise.all(
      Array.from({ length: 140 }, async () => {
        const response = await fetch(`${server.url}/api/v1/streams`, jsonRequest('POST', {}));
        return { ...(await answer(response)), after: response.headers.get('retry-after') };
      }),
    );
    const refused = attempts.filter(({ status }) => status === 429);
    assert.ok(refused.length > 0 && refused.length < 140);
    assert.equal(refused[0]?.body.code, 'CLEARWAY_RATE_LIMITED');
    assert.ok(Number(refused[0]?.after) >= 1);
  });

  it('says where pushes are taken', async () => {
    const { body } = await call('/api/v1/rtmp');
    assert.deepEqual(rtmpSchema.strict().parse(body), { enabled: true, host: '127.0.0.1', port: 1935 });
  });

  it('gives a trace of the seconds asked for', async () => {
    const whole = await call('/api/v1/streams/gate/trace');
    assert.deepEqual(whole.body.otherData, { stream: 'gate', seconds: 60 });
    const short = await call('/api/v1/streams/gate/trace?seconds=5');
    assert.deepEqual(short.body.otherData, { stream: 'gate', seconds: 5 });
    for (const seconds of ['0', '61', '-1', '1e1', 'all']) {
      assert.equal((await call(`/api/v1/streams/gate/trace?seconds=${seconds}`)).status, 400, seconds);
    }
    assert.equal((await call('/api/v1/streams/nobody/trace')).status, 404);
  });

  it('lists models and tells the time', async () => {
    assert.equal(((await call('/api/v1/models')).body as unknown as { name: string }[])[0]?.name, 'lite');
    const before = now();
    const told = Number((await call('/api/v1/time')).body.now);
    assert.ok(told >= before && told <= now(), `${before} ${told}`);
  });

  it('writes no line a request, and no secret at all', () => {
    assert.doesNotMatch(lines, /hunter|incoming request|request completed/);
    assert.match(lines, /Server listening/);
  });
});
