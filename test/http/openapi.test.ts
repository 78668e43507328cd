import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { createConfig, lintFromString } from '@redocly/openapi-core';
import { openapi } from '../../src/http/openapi/document.ts';
import { jobListSchema, jobSchema, requestSchema } from '../../src/http/restore/schemas.ts';
import {
  loginSchema,
  modelSchema,
  newStreamSchema,
  problemSchema,
  rtmpSchema,
  sessionSchema,
  statusSchema,
  streamPatchSchema,
} from '../../src/http/schemas.ts';
import { hlsRoutes } from '../../src/publish/hls/routes.ts';
import { snapshotRoutes } from '../../src/publish/snapshot/routes.ts';
import { whepRoutes } from '../../src/publish/webrtc/routes.ts';
import { openTestJobs } from '../jobs/service.ts';
import { answer, startServer, type TestServer } from './support.ts';

describe('the API described', () => {
  const stack = new AsyncDisposableStack();
  let whole: TestServer;
  const get = (path: string) => fetch(`${whole.url}${path}`);

  before(async () => {
    // The publishers are only asked when a request comes.
    const parts = { publisher: {} as never, streams: {} as never };
    const { jobs } = stack.use(await openTestJobs());
    whole = await startServer({
      jobs,
      plugins: (guard) => [
        whepRoutes({ ...parts, guard }),
        hlsRoutes({ ...parts, guard }),
        snapshotRoutes({ ...parts, guard }),
      ],
    });
    stack.defer(() => whole.http.close());
  });
  after(() => stack.disposeAsync());

  it('is valid OpenAPI 3.1 in its references', async () => {
    const document = (await answer(await get('/openapi.json'))).body;
    assert.equal(document.openapi, '3.1.0');
    for (const [, path] of JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = path!
        .split('/')
        .reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], document);
      assert.ok(found, `#/${path} leads nowhere`);
    }
  });

  it('is complete OpenAPI 3.1 with examples that fit, as Redocly’s linter sees it', async () => {
    const source = await (await get('/openapi.json')).text();
    const config = await createConfig({ extends: ['recommended'] });
    const problems = (await lintFromString({ source, config }))
      .map(({ ruleId, message, location: [at] }) => `${ruleId}: ${message} (${at?.pointer})`)
      // A WebSocket has no other answer than 101.
      .filter((said) => !said.includes('/paths/~1events/get/responses'));
    assert.deepEqual(problems, []);
  });

  it('has examples of everything, which its schemas take', () => {
    const { components } = openapi();
    const schemas = {
      ...{ Stream: statusSchema, NewStream: newStreamSchema, StreamPatch: streamPatchSchema },
      ...{
        Model: modelSchema,
        Rtmp: rtmpSchema,
        Session: sessionSchema,
        Login: loginSchema,
        Problem: problemSchema,
      },
      ...{ Job: jobSchema, JobList: jobListSchema, RestoreRequest: requestSchema },
    };
    for (const [name, schema] of Object.entries(schemas)) {
      const examples = components.schemas[name]?.examples as unknown[] | undefined;
      assert.ok(examples?.length, name);
      for (const example of examples) schema.parse(example);
    }
  });

  it('has null in changes of a stream only: what is configured is never null', () => {
    const { StreamPatch, StreamSettings } = openapi().components.schemas;
    assert.match(JSON.stringify(StreamPatch), /"null"/);
    assert.doesNotMatch(JSON.stringify(StreamSettings), /"null"/);
  });

  it('has every route the server has, and no other', async () => {
    const { paths } = (await answer(await get('/openapi.json'))).body as {
      paths: Record<string, object>;
    };
    const described = Object.entries(paths)
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
      .filter((route) => route !== 'get /events')
      .sort();
    const tree = whole.http.app.printRoutes({ commonPrefix: false });
    assert.deepEqual(routesOf(tree), described, tree);
  });

  it('has a docs page without scripts, whose style its CSP allows', async () => {
    const page = await get('/docs');
    const html = await page.text();
    assert.match(html, /\/api\/v1\/streams\/\{name\}/);
    assert.match(html, /restore\/video' -F file=@video\.mp4/);
    assert.doesNotMatch(html, /<script|https?:\/\/(?!127\.0\.0\.1)/);
    assert.match(page.headers.get('content-security-policy') ?? '', /style-src 'sha256-/);
  });
});

/**
 * Every route of Fastify's own listing, sorted, as `get /path/{name}`. Left out: the page and its files, HEAD that
 * comes with GET, and what WHEP answers 405.
 */
function routesOf(tree: string): string[] {
  const refused: Record<string, string> = {
    '/whep/{name}': 'get put patch delete',
    '/whep/{name}/sessions/{id}': 'get head post put',
  };
  const stack: string[] = [];
  const routes = tree.split('\n').flatMap((line) => {
    const [, indent = '', segment = '', methods] = /^([│ ]*)[├└]── (\S+)(?: \((.*)\))?/.exec(line) ?? [];
    if (segment === '') return [];
    const depth = indent.length / 4;
    stack.splice(depth, stack.length, segment);
    const path = stack
      .join('')
      .replaceAll('//', '/')
      .replaceAll(/:(\w+)/g, '{$1}');
    if (methods === undefined || /^\/(\*|streams\/.*|files.*|docs|openapi\.json)?$/.test(path)) return [];
    const all = methods.toLowerCase().split(', ');
    const without = refused[path]?.split(' ') ?? (all.includes('get') ? ['head'] : []);
    return all.filter((method) => !without.includes(method)).map((method) => `${method} ${path}`);
  });
  return [...new Set(routes)].sort();
}
