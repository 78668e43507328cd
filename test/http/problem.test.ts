import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, it } from 'node:test';
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify';
import { z } from 'zod';
import { ClearwayError } from '../../src/contracts/errors.ts';
import { PROBLEM_TYPE, registerProblems } from '../../src/http/problem.ts';
import { createLogger } from '../../src/telemetry/log.ts';

describe('problem+json', () => {
  let app: FastifyInstance;
  let lines: string[];

  beforeEach(() => {
    lines = [];
    const out = new PassThrough();
    out.on('data', (chunk: Buffer) => lines.push(chunk.toString()));
    const loggerInstance: FastifyBaseLogger = createLogger({ level: 'info', format: 'json' }, out);
    const logController = new LogController({ disableRequestLogging: true });
    app = Fastify({ loggerInstance, logController, bodyLimit: 64 });
    registerProblems(app);
  });
  afterEach(() => app.close());

  it('answers a ClearwayError with its status, code, sentence and Retry-After', async () => {
    app.get('/full', async () => {
      throw new ClearwayError('CLEARWAY_OVERLOADED', 'All 60 viewer places are taken; try again.', {
        status: 503,
        retryable: true,
        retryAfter: 4.2,
      });
    });
    const answer = await app.inject('/full?token=secret');
    assert.equal(answer.statusCode, 503);
    assert.equal(answer.headers['retry-after'], '5');
    assert.ok(String(answer.headers['content-type']).startsWith(PROBLEM_TYPE));
    assert.deepEqual(answer.json(), {
      type: 'about:blank',
      title: 'Service Unavailable',
      status: 503,
      code: 'CLEARWAY_OVERLOADED',
      detail: 'All 60 viewer places are taken; try again.',
      instance: '/full',
      retryable: true,
    });
  });

  it('redacts credentials that an error sentence carries', async () => {
    app.get('/bad', async () => {
      throw new ClearwayError('CLEARWAY_ENCODER_FAILED', 'no picture of rtsp://u:hunter2@cam/1');
    });
    const { detail } = (await app.inject('/bad')).json();
    assert.equal(detail, 'no picture of rtsp://***@cam/1');
    assert.match(lines.join(''), /rtsp:\/\/\*\*\*@cam/);
    assert.doesNotMatch(lines.join(''), /hunter2/);
  });

  it('logs an unknown error and says nothing of it to the caller', async () => {
    app.get('/broken', async () => {
      throw new Error('connect ENOENT /etc/secret/path');
    });
    const answer = await app.inject('/broken');
    assert.equal(answer.statusCode, 500);
    assert.equal(answer.json().code, 'CLEARWAY_INTERNAL');
    assert.doesNotMatch(answer.body, /secret/);
    assert.match(answer.json().detail, /reqId \S+/);
    assert.match(lines.join(''), /etc\/secret\/path/);
  });

  it('does not log what the caller did wrong or may ask again for', async () => {
    for (const status of [400, 503]) {
      app.get(`/refused/${status}`, async () => {
        throw new ClearwayError('CLEARWAY_STREAM_OFFLINE', 'no', { status });
      });
    }
    await app.inject('/refused/400');
    await app.inject('/refused/503');
    assert.deepEqual(lines, []);
  });

  for (const [what, status, code, request] of [
    ['an unknown route', 404, 'CLEARWAY_NOT_FOUND', { url: '/nowhere' }],
    ['a body over the limit', 413, 'CLEARWAY_PAYLOAD_TOO_LARGE', { body: 'x'.repeat(65) }],
    ['an unknown content type', 415, 'CLEARWAY_UNSUPPORTED_MEDIA_TYPE', { type: 'application/sdp' }],
    ['broken JSON', 400, 'CLEARWAY_BAD_REQUEST', { body: '{' }],
    ['a body the schema refuses', 400, 'CLEARWAY_BAD_REQUEST', { body: '{"n":"many"}' }],
    ['a body zod refuses', 400, 'CLEARWAY_BAD_REQUEST', { url: '/zod', body: '{"n":1}' }],
  ] as const) {
    it(`names ${what}`, async () => {
      const schema = { body: { type: 'object', properties: { n: { type: 'integer' } } } };
      app.post('/things', { schema }, async () => 'ok');
      app.post('/zod', async (incoming) => z.strictObject({ m: z.number() }).parse(incoming.body));
      const { url = '/things', body = '{}', type = 'application/json' } = request as Record<string, string>;
      const answer = await app.inject({
        method: 'POST',
        url,
        payload: body,
        headers: { 'content-type': type },
      });
      assert.equal(answer.statusCode, status, answer.body);
      assert.equal(answer.json().code, code);
      assert.equal(answer.json().status, status);
      assert.ok(answer.json().detail.length > 5);
    });
  }

  it('says which content type is wanted, and which came: curl -d alone sends that of a form', async () => {
    app.post('/things', async () => 'ok');
    const headers = { 'content-type': 'application/x-www-form-urlencoded' };
    const { detail } = (await app.inject({ method: 'POST', url: '/things', payload: '{}', headers })).json();
    assert.match(detail, /x-www-form-urlencoded is not taken here.*Content-Type: application\/json/);
  });

  it('keeps its fields on a route with a response schema', async () => {
    const schema = { response: { '4xx': { type: 'object', properties: { nothing: { type: 'string' } } } } };
    app.get('/strict', { schema }, async () => {
      throw new ClearwayError('CLEARWAY_STREAM_NOT_FOUND', 'no stream x', { status: 404 });
    });
    assert.equal((await app.inject('/strict')).json().code, 'CLEARWAY_STREAM_NOT_FOUND');
  });
});
