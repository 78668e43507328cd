import assert from 'node:assert/strict';
import { test } from 'node:test';
import Fastify from 'fastify';
import { ClearwayError } from '../../../src/contracts/errors.ts';
import type { Rendition } from '../../../src/contracts/media.ts';
import type { PublishedStream } from '../../../src/contracts/publish.ts';
import { registerProblems } from '../../../src/http/problem.ts';
import { snapshotRoutes } from '../../../src/publish/snapshot/routes.ts';
import { createH264Source, FakeDirectory } from '../../support/h264-source.ts';

const JPEG = new Uint8Array([0xff, 0xd8, 0xff, 0xd9]);

/** The test source, with pictures that the test makes when it likes. */
async function camera(snapshot: (rendition: Rendition) => Promise<Uint8Array>): Promise<PublishedStream> {
  const stream: PublishedStream = await createH264Source({ name: 'cam-1' });
  stream.snapshot = snapshot;
  return stream;
}

async function start(stream: PublishedStream) {
  const app = Fastify();
  registerProblems(app);
  const asked: string[] = [];
  const routes = snapshotRoutes({
    streams: new FakeDirectory(stream),
    guard: (role, name) => async (request) => {
      asked.push(`${role} ${name?.(request)}`);
    },
  });
  await app.register(routes);
  return { app, asked };
}

test('a picture, never from a cache, of the rendition asked for', async () => {
  const renditions: Rendition[] = [];
  const stream = await camera(async (rendition) => {
    renditions.push(rendition);
    return JPEG;
  });
  const { app, asked } = await start(stream);
  for (const query of ['', '?rendition=source', '?rendition=compare']) {
    const response = await app.inject(`/snapshot/cam-1.jpg${query}`);
    assert.equal(response.statusCode, 200);
    assert.equal(response.headers['content-type'], 'image/jpeg');
    assert.equal(response.headers['cache-control'], 'no-store');
    assert.deepEqual(new Uint8Array(response.rawPayload), JPEG);
  }
  assert.deepEqual(renditions, ['restored', 'source', 'compare']);
  assert.deepEqual(new Set(asked), new Set(['read cam-1']));
});

test('who asks at the same time or just after shares one encode, of the same rendition only', async (t) => {
  const gate = Promise.withResolvers<Uint8Array>();
  const both = Promise.withResolvers<void>();
  let encodes = 0;
  const stream = await camera(() => {
    if (++encodes === 2) both.resolve();
    return gate.promise;
  });
  const { app } = await start(stream);
  await app.ready();
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const paths = [...Array(10).fill('/snapshot/cam-1.jpg'), '/snapshot/cam-1.jpg?rendition=source'];
  const answers = Promise.all(paths.map((path) => app.inject(path)));
  await both.promise;
  gate.resolve(JPEG);
  for (const answer of await answers) assert.equal(answer.statusCode, 200);
  assert.equal(encodes, 2);
  await app.inject('/snapshot/cam-1.jpg');
  assert.equal(encodes, 2, 'the picture is new enough');
  t.mock.timers.tick(250);
  await app.inject('/snapshot/cam-1.jpg');
  assert.equal(encodes, 3);
});

test('a failure is nobody else’s', async () => {
  let works = false;
  const stream = await camera(() => (works ? Promise.resolve(JPEG) : Promise.reject(new Error('not yet'))));
  const { app } = await start(stream);
  assert.equal((await app.inject('/snapshot/cam-1.jpg')).statusCode, 500);
  works = true;
  assert.equal((await app.inject('/snapshot/cam-1.jpg')).statusCode, 200);
});

test('what cannot be shown is said: unknown, offline, no such rendition, failed', async () => {
  const stream = await camera((rendition) =>
    Promise.reject(
      rendition === 'source'
        ? new Error('the encoder broke')
        : new ClearwayError('CLEARWAY_STREAM_OFFLINE', 'No picture within 5 s.'),
    ),
  );
  const { app } = await start(stream);
  for (const [path, status, code] of [
    ['/snapshot/nobody.jpg', 404, 'CLEARWAY_STREAM_NOT_FOUND'],
    ['/snapshot/cam-1.jpg', 503, 'CLEARWAY_STREAM_OFFLINE'],
    ['/snapshot/cam-1.jpg?rendition=x', 400, 'CLEARWAY_BAD_REQUEST'],
    ['/snapshot/cam-1.jpg?rendition=source&rendition=source', 400, 'CLEARWAY_BAD_REQUEST'],
    ['/snapshot/cam-1.jpg?rendition=source', 500, 'CLEARWAY_INTERNAL'],
    ['/snapshot/cam-1.png', 404, 'CLEARWAY_NOT_FOUND'],
  ] as const) {
    const response = await app.inject(path);
    assert.equal(response.statusCode, status, path);
    assert.equal(response.json().code, code, path);
    if (status === 503) assert.equal(response.headers['retry-after'], '2');
  }
});
