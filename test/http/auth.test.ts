import assert from 'node:assert/strict';
import { request as rawRequest } from 'node:http';
import { PassThrough } from 'node:stream';
import { after, before, describe, it } from 'node:test';
import type { FastifyPluginAsync, FastifyRequest } from 'fastify';
import { type ConfigInput, configSchema } from '../../src/config/schema.ts';
import type { Guard } from '../../src/contracts/http.ts';
import { hashPassword, hashToken, verifyPassword, verifyToken } from '../../src/http/secrets.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { answer, jsonRequest, startServer, type TestServer } from './support.ts';

const nameOf = (request: FastifyRequest) => (request.params as { name: string }).name;

/** Stands in for the WHEP and HLS plugins: how they use the guard. */
const player = (guard: Guard): FastifyPluginAsync[] => [
  async (app) => {
    app.get('/hls/:name/index.m3u8', { preHandler: guard('read', nameOf) }, async () => 'playlist');
    app.post('/whep/:name', { preHandler: guard('read', nameOf) }, async () => 'answer');
  },
];

const token = 'of-the-whole-gateway';
const gateToken = 'of-the-gate';

async function withAuth(): Promise<ConfigInput> {
  return {
    auth: {
      users: [
        { name: 'ada', password: await hashPassword('correct horse'), role: 'admin' },
        { name: 'bob', password: await hashPassword('päss:wörd'), streams: ['gate'] },
        { name: 'cy', password: await hashPassword('pw'), role: 'admin', streams: ['gate'] },
      ],
      tokens: [
        { name: 'all', token: hashToken(token), role: 'read' },
        { name: 'one', token: hashToken(gateToken), streams: ['gate'] },
      ],
    },
  };
}

const basic = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});
const bearer = (secret: string) => ({ authorization: `Bearer ${secret}` });

describe('secrets', () => {
  it('a password verifies against its own hash and nothing else does', async () => {
    const hash = await hashPassword('s3cret');
    assert.match(hash, /^scrypt:32768:8:1:[\w-]{22}:[\w-]{43}$/);
    assert.equal(await verifyPassword('s3cret', hash), true);
    assert.equal(await verifyPassword('s3creT', hash), false);
    assert.notEqual(await hashPassword('s3cret'), hash);
    const user = { name: 'a', password: hash };
    assert.ok(configSchema.safeParse({ auth: { users: [user] } }).success);
  });
  it('one password in two Unicode forms is one password', async () => {
    assert.equal(await verifyPassword('e\u0301', await hashPassword('\u00e9')), true);
  });
  it('a hash that asks for gigabytes is not computed', async () => {
    assert.equal(await verifyPassword('x', `scrypt:16777216:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}`), false);
    assert.equal(await verifyPassword('x', `scrypt:1000:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}`), false);
  });
  it('refuses an empty and an endless password', async () => {
    await assert.rejects(hashPassword(''), { code: 'CLEARWAY_BAD_REQUEST' });
    await assert.rejects(hashPassword('x'.repeat(1025)), { code: 'CLEARWAY_BAD_REQUEST' });
  });
  it('a token verifies against its own hash only', () => {
    assert.equal(verifyToken(token, hashToken(token)), true);
    assert.equal(verifyToken(token, hashToken(`${token}x`)), false);
    assert.equal(verifyToken(token, 'sha256:'), false);
  });
});

describe('auth', { timeout: 120_000 }, () => {
  let server: TestServer;
  let config: ConfigInput;
  const get = (path: string, headers: Record<string, string> = {}) =>
    fetch(server.url + path, { headers }).then(async (response) => {
      const text = await response.text();
      return { status: response.status, text, headers: response.headers };
    });

  before(async () => {
    config = await withAuth();
    server = await startServer({ config, plugins: player });
    await server.control.create('gate', { source: 'demo' });
    await server.control.create('yard', { source: 'demo' });
  });
  after(() => server.http.close());

  it('asks who it is, in ways tools and browsers understand', async () => {
    for (const path of [
      '/api/v1/streams',
      '/api/v1/streams/gate',
      '/api/v1/models',
      '/metrics',
      '/hls/gate/index.m3u8',
    ]) {
      const { status, text, headers } = await get(path);
      assert.equal(status, 401, path);
      assert.equal(JSON.parse(text).code, 'CLEARWAY_UNAUTHORIZED');
      assert.match(headers.get('www-authenticate') ?? '', /Bearer .*Basic realm="Clearway"/);
    }
    const { headers } = await get('/api/v1/streams', { 'user-agent': 'Mozilla/5.0 (X11)', accept: '*/*' });
    assert.equal(headers.get('www-authenticate'), 'Bearer realm="Clearway"');
  });

  it('leaves open what says nothing about the streams', async () => {
    for (const path of ['/health', '/ready', '/openapi.json', '/docs', '/api/v1/time', '/api/v1/session']) {
      assert.equal((await get(path)).status, 200, path);
    }
  });

  it('takes HTTP Basic, with colons and umlauts in the password', async () => {
    assert.equal((await get('/api/v1/streams/gate', basic('bob', 'päss:wörd'))).status, 200);
    assert.equal((await get('/api/v1/streams/gate', basic('bob', 'päss'))).status, 401);
    assert.equal((await get('/api/v1/streams/gate', basic('nobody', 'päss:wörd'))).status, 401);
    assert.equal((await get('/api/v1/streams/gate', { authorization: 'Basic !!!' })).status, 401);
    assert.equal((await get('/api/v1/streams/gate', { authorization: 'Negotiate x' })).status, 401);
  });

  it('takes a bearer token, and a query token for HLS alone', async () => {
    assert.equal((await get('/api/v1/streams', bearer(token))).status, 200);
    assert.equal((await get('/api/v1/streams', bearer('guess'))).status, 401);
    assert.equal((await get(`/hls/gate/index.m3u8?token=${token}`)).status, 200);
    assert.equal((await get(`/hls/yard/index.m3u8?token=${gateToken}`)).status, 403);
    assert.equal((await get(`/api/v1/streams?token=${token}`)).status, 401);
    assert.equal((await get(`/metrics?x=/hls/&token=${token}`)).status, 401);
  });

  it('lets each see and change only what is theirs', async () => {
    const names = async (headers: Record<string, string>) =>
      (JSON.parse((await get('/api/v1/streams', headers)).text) as { name: string }[]).map(
        ({ name }) => name,
      );
    assert.deepEqual(await names(basic('ada', 'correct horse')), ['gate', 'yard']);
    assert.deepEqual(await names(bearer(gateToken)), ['gate']);
    assert.equal((await get('/metrics', bearer(gateToken))).status, 403);
    assert.equal((await get('/metrics', bearer(token))).status, 200);
    // Whether a stream one may not read exists is not told.
    assert.equal((await get('/api/v1/streams/yard', bearer(gateToken))).status, 403);
    assert.equal((await get('/api/v1/streams/none', bearer(gateToken))).status, 403);

    const patch = (name: string, headers: Record<string, string>) =>
      fetch(`${server.url}/api/v1/streams/${name}`, jsonRequest('PATCH', { strength: 1 }, headers)).then(
        answer,
      );
    assert.equal((await patch('gate', bearer(token))).status, 403);
    assert.equal((await patch('gate', basic('bob', 'päss:wörd'))).status, 403);
    assert.equal((await patch('gate', basic('cy', 'pw'))).status, 200);
    assert.equal((await patch('yard', basic('cy', 'pw'))).status, 403);
    const post = await fetch(
      `${server.url}/api/v1/streams`,
      jsonRequest('POST', { name: 'new', source: 'push' }, basic('cy', 'pw')),
    ).then(answer);
    assert.deepEqual([post.status, post.body.code], [403, 'CLEARWAY_FORBIDDEN']);
  });

  describe('the page’s login', () => {
    const login = (user: string, password: string) =>
      fetch(`${server.url}/api/v1/login`, jsonRequest('POST', { user, password }));
    const own = () => ({ 'sec-fetch-site': 'same-origin' });

    it('gives a cookie that scripts cannot read and other sites do not send', async () => {
      const response = await login('ada', 'correct horse');
      const user = { name: 'ada', role: 'admin', streams: ['*'], files: true };
      assert.deepEqual((await answer(response)).body.user, user);
      const cookie = response.headers.get('set-cookie') ?? '';
      assert.match(cookie, /; HttpOnly; SameSite=Strict/);
      const [pair = ''] = cookie.split(';');
      const session = JSON.parse((await get('/api/v1/session', { cookie: pair })).text);
      assert.deepEqual(session, { auth: true, user });
      assert.equal((await get('/api/v1/streams', { cookie: `other=1; ${pair}` })).status, 200);

      const remove = (headers: Record<string, string>) =>
        fetch(`${server.url}/api/v1/streams/none`, {
          method: 'DELETE',
          headers: { cookie: pair, ...headers },
        });
      assert.equal((await remove(own())).status, 404);
      assert.equal((await remove({ origin: server.url })).status, 404);
      assert.equal((await remove({ origin: 'https://evil.example' })).status, 403);
      assert.equal((await remove({ 'sec-fetch-site': 'same-site' })).status, 403);
      assert.equal((await remove({})).status, 403);
    });

    it('refuses a cookie that was changed, has expired or belongs to nobody', async () => {
      const [pair = ''] = ((await login('bob', 'päss:wörd')).headers.get('set-cookie') ?? '').split(';');
      const [payload = '', signature = ''] = pair.replace('clearway_session=', '').split('.');
      const claim = (claims: unknown) => Buffer.from(JSON.stringify(claims)).toString('base64url');
      const now = Date.now() + 1e6;
      for (const value of [
        `${claim({ user: 'ada', expires: now })}.${signature}`,
        `${claim({ user: 'nobody', expires: now })}.${signature}`,
        `${claim({ user: 'bob', expires: 1 })}.${signature}`,
        `${claim(null)}.${signature}`,
        `${payload}.${signature.slice(1)}`,
        payload,
        '',
      ]) {
        assert.equal((await get('/api/v1/streams', { cookie: `clearway_session=${value}` })).status, 401);
      }
      assert.deepEqual(JSON.parse((await get('/api/v1/session', { cookie: 'clearway_session=x.y' })).text), {
        auth: true,
      });
    });

    it('says no to wrong passwords and odd bodies', async () => {
      assert.equal((await login('ada', 'wrong')).status, 401);
      const { status } = await fetch(
        `${server.url}/api/v1/login`,
        jsonRequest('POST', { user: ['ada'] }),
      ).then(answer);
      assert.equal(status, 400);
    });

    it('takes the cookie back at logout', async () => {
      const response = await fetch(`${server.url}/api/v1/logout`, jsonRequest('POST', {}));
      assert.equal(response.status, 204);
      assert.match(response.headers.get('set-cookie') ?? '', /^clearway_session=; Max-Age=0/);
    });
  });
});

describe('auth under attack', { timeout: 120_000 }, () => {
  it('behind a trusted proxy counts each client, and behind none believes nobody', async () => {
    for (const trustedProxies of [['127.0.0.0/8'], []]) {
      const config = { ...(await withAuth()), http: { trustedProxies } };
      const server = await startServer({ config });
      try {
        const login = async (client: string, password: string) => {
          const headers = { 'x-forwarded-for': client };
          const body = { user: 'ada', password };
          const { status } = await fetch(
            `${server.url}/api/v1/login`,
            jsonRequest('POST', body, headers),
          ).then(answer);
          return status;
        };
        for (let i = 0; i < 10; i++) assert.equal(await login('203.0.113.1', `guess-${i}`), 401);
        assert.equal(await login('203.0.113.1', 'correct horse'), 429);
        const neighbour = await login('203.0.113.2', 'correct horse');
        assert.equal(neighbour, trustedProxies.length > 0 ? 200 : 429);
      } finally {
        await server.http.close();
      }
    }
  });

  it('stops guessing after ten wrong passwords, says so once, and who is signed in stays', async () => {
    const log = new PassThrough({ encoding: 'utf8' });
    const logger = createLogger({ level: 'warn', format: 'json' }, log);
    const server = await startServer({ config: await withAuth(), logger });
    try {
      const ask = (headers: Record<string, string>) =>
        fetch(`${server.url}/api/v1/streams`, { headers }).then(answer);
      assert.equal((await ask(basic('ada', 'correct horse'))).status, 200);
      // A player with one old password repeats it; that is no guessing.
      for (let i = 0; i < 30; i++) assert.equal((await ask(bearer('old'))).status, 401);
      for (let i = 0; i < 9; i++) assert.equal((await ask(bearer(`guess-${i}`))).status, 401);
      const stopped = await fetch(
        `${server.url}/api/v1/login`,
        jsonRequest('POST', { user: 'ada', password: 'x' }),
      );
      assert.equal(stopped.status, 429);
      assert.ok(Number(stopped.headers.get('retry-after')) > 0);
      assert.equal((await ask(bearer('guess-again'))).status, 429);
      assert.match(log.read() ?? '', /^\{[^\n]*"peer":"127\.0\.0\.1"[^\n]*too many wrong passwords[^\n]*\n$/);
      assert.equal((await ask(basic('ada', 'correct horse'))).status, 200);
      assert.equal((await ask(bearer(token))).status, 200);
    } finally {
      await server.http.close();
    }
  });

  it('reconfigure() takes new users in and lets old ones go', async () => {
    const config = await withAuth();
    const server = await startServer({ config });
    try {
      const ask = (headers: Record<string, string>) =>
        fetch(`${server.url}/api/v1/streams`, { headers }).then(answer);
      assert.equal((await ask(bearer(token))).status, 200);
      const next = 'of-whoever-is-next';
      const auth = { tokens: [{ name: 'next', token: hashToken(next) }] };
      server.http.reconfigure(configSchema.parse({ auth }));
      assert.equal((await ask(bearer(token))).status, 401);
      assert.equal((await ask(bearer(next))).status, 200);
    } finally {
      await server.http.close();
    }
  });
});

describe('without auth', { timeout: 120_000 }, () => {
  let server: TestServer;
  before(async () => {
    server = await startServer({ plugins: player });
  });
  after(() => server.http.close());

  it('everybody on this host may do all, and the session says so', async () => {
    assert.deepEqual((await fetch(`${server.url}/api/v1/session`).then(answer)).body, { auth: false });
    assert.equal((await fetch(`${server.url}/metrics`)).status, 200);
  });

  it('a name that another site points at this host is refused (DNS rebinding)', async () => {
    const ask = (host: string) =>
      new Promise<number>((resolve, reject) => {
        const { port } = new URL(server.url);
        const request = rawRequest({
          port,
          host: '127.0.0.1',
          path: '/api/v1/streams',
          headers: { host },
          agent: false,
        });
        request.on('response', (response) => {
          response.resume();
          resolve(response.statusCode ?? 0);
        });
        request.on('error', reject).end();
      });
    assert.equal(await ask('evil.example'), 403);
    assert.equal(await ask('localhost.evil.example:8080'), 403);
    for (const host of ['localhost:1', '127.0.0.1', '[::1]:8080', 'cam.localhost'])
      assert.equal(await ask(host), 200);
  });

  it('players of other sites play where corsOrigins names them: * means pages of this host', async () => {
    const allowed = async (origin: string) => {
      const response = await fetch(`${server.url}/whep/gate`, { method: 'POST', headers: { origin } });
      assert.equal(response.status, 200);
      assert.equal(response.headers.get('vary'), 'Origin');
      return response.headers.get('access-control-allow-origin');
    };
    for (const local of [
      'http://localhost:5173',
      'http://127.0.0.1:8000',
      'https://[::1]',
      'http://a.localhost',
    ])
      assert.equal(await allowed(local), local);
    for (const origin of [
      'https://evil.example',
      'https://localhost.evil.example',
      'http://203.0.113.5',
      'null',
    ])
      assert.equal(await allowed(origin), null);
    const http = { corsOrigins: ['*', 'https://home.example'] };
    server.http.reconfigure(configSchema.parse({ http }));
    assert.equal(await allowed('https://home.example'), 'https://home.example');
    server.http.reconfigure(
      configSchema.parse({ http, auth: { tokens: [{ name: 'a', token: hashToken('t') }] } }),
    );
    const asked = await fetch(`${server.url}/whep/gate`, { headers: { origin: 'https://evil.example' } });
    assert.equal(
      asked.headers.get('access-control-allow-origin'),
      '*',
      'who is asked for a token may play anywhere',
    );
  });
});
