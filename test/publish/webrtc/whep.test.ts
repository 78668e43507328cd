import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { test } from 'node:test';
import { ClearwayError } from '../../../src/contracts/errors.ts';
import { freeUdpPorts } from '../../support/ports.ts';
import { startGateway, type TestGateway } from './gateway.ts';
import { CHROME, FIREFOX, SAFARI } from './offers.ts';

const SDP = { 'content-type': 'application/sdp' };
const FRAGMENT = 'application/trickle-ice-sdpfrag';

function post(
  gateway: TestGateway,
  body: string = CHROME,
  path = '/whep/cam',
  headers = SDP,
): Promise<Response> {
  return fetch(`${gateway.url}${path}`, { method: 'POST', headers, body });
}

async function problem(response: Response): Promise<{ status: number; code: string }> {
  assert.match(response.headers.get('content-type') ?? '', /^application\/problem\+json/);
  const { code, status } = (await response.json()) as { code: string; status: number };
  assert.equal(status, response.status);
  return { status, code };
}

test('a POST is answered 201 with the session, its tag, its ICE servers and every candidate', async () => {
  await using gateway = await startGateway({
    webrtc: {
      iceServers: [
        { urls: 'turn:turn.example:3478', username: 'u"1', credential: 'secret' },
        { urls: 'stuns:stun.example:443' },
      ],
    },
  });
  for (const offer of [CHROME, FIREFOX, SAFARI]) {
    const response = await post(gateway, offer);
    assert.equal(response.status, 201);
    assert.equal(response.headers.get('content-type'), 'application/sdp');
    assert.match(response.headers.get('location') ?? '', /^\/whep\/cam\/sessions\/[\w-]{22}$/);
    assert.match(response.headers.get('etag') ?? '', /^"[\w-]+"$/);
    assert.equal(response.headers.get('accept-patch'), FRAGMENT);
    assert.equal(
      response.headers.get('link'),
      '<turn:turn.example:3478>; rel="ice-server"; username="u\\"1"; credential="secret"; credential-type="password", <stuns:stun.example:443>; rel="ice-server"',
    );
    const answer = await response.text();
    assert.match(answer, /a=candidate:1 1 udp \d+ \S+ 5\d{4} typ host\r\n/);
    assert.match(answer, /a=end-of-candidates/);
    assert.match(answer, /a=sendonly/);
    assert.match(answer, /a=setup:passive/);
  }
  assert.equal(gateway.source.subscribers('restored'), 1, 'one subscription for all viewers of a rendition');
});

test('the rendition is chosen by query and a wrong one refused', async () => {
  await using gateway = await startGateway();
  assert.equal((await post(gateway, CHROME, '/whep/cam?rendition=compare')).status, 201);
  assert.equal(gateway.source.subscribers('compare'), 1);
  const response = await post(gateway, CHROME, '/whep/cam?rendition=ultra');
  assert.deepEqual(await problem(response), { status: 400, code: 'CLEARWAY_BAD_REQUEST' });
});

test('a stream without sound answers the audio section with port 0', async () => {
  await using gateway = await startGateway({ source: { audio: false } });
  assert.match(await (await post(gateway)).text(), /m=audio 0 /);
});

test('wrong requests get their code', async () => {
  await using gateway = await startGateway();
  const expect = async (response: Response, status: number, code: string) =>
    assert.deepEqual(await problem(response), { status, code });
  await expect(await post(gateway, 'nonsense'), 400, 'CLEARWAY_SDP_INVALID');
  await expect(await post(gateway, ''), 400, 'CLEARWAY_SDP_INVALID');
  await expect(await post(gateway, CHROME.replaceAll('H264', 'H265')), 422, 'CLEARWAY_OFFER_UNSUPPORTED');
  await expect(await post(gateway, CHROME, '/whep/nobody'), 404, 'CLEARWAY_STREAM_NOT_FOUND');
  const json = { 'content-type': 'application/json' };
  await expect(await post(gateway, '{}', '/whep/cam', json), 415, 'CLEARWAY_UNSUPPORTED_MEDIA_TYPE');
  const big = CHROME + 'a=x\r\n'.repeat(200_000);
  await expect(await post(gateway, big), 413, 'CLEARWAY_PAYLOAD_TOO_LARGE');
  const under = CHROME + 'a=x\r\n'.repeat(40_000);
  assert.equal((await post(gateway, under)).status, 201);
  assert.equal(gateway.publisher.sessions, 1);
});

test('HEAD answers 200; other methods are not for the endpoint, nor for the session', async () => {
  await using gateway = await startGateway();
  const head = await fetch(`${gateway.url}/whep/cam`, { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.headers.get('accept-post'), 'application/sdp');
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const response = await fetch(`${gateway.url}/whep/cam`, { method });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get('allow'), 'POST, HEAD, OPTIONS');
  }
  const session = (await post(gateway)).headers.get('location')!;
  for (const method of ['GET', 'HEAD', 'PUT', 'POST']) {
    const response = await fetch(`${gateway.url}${session}`, { method });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get('allow'), 'PATCH, DELETE, OPTIONS');
  }
});

test('the guard is asked for the stream; preflight passes without it', async () => {
  const asked: string[] = [];
  await using gateway = await startGateway({
    guard: (role, stream) => async (request) => {
      asked.push(`${role} ${stream?.(request)}`);
      throw new ClearwayError('CLEARWAY_UNAUTHORIZED', 'No.', { status: 401 });
    },
  });
  assert.equal((await post(gateway)).status, 401);
  for (const method of ['PATCH', 'DELETE']) {
    assert.equal((await fetch(`${gateway.url}/whep/cam/sessions/x`, { method })).status, 401);
  }
  assert.deepEqual(asked, ['read cam', 'read cam', 'read cam']);
  for (const path of ['/whep/cam', '/whep/cam/sessions/x']) {
    const response = await fetch(`${gateway.url}${path}`, {
      method: 'OPTIONS',
      headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' },
    });
    assert.equal(response.status, 204);
    assert.equal(response.headers.get('access-control-allow-origin'), '*');
    assert.match(response.headers.get('access-control-allow-headers') ?? '', /Authorization.*If-Match/);
  }
});

test('other origins see the headers WHEP needs, unless they are not allowed', async () => {
  await using gateway = await startGateway({ corsOrigins: ['https://good.example'] });
  const ask = (origin: string) => post(gateway, CHROME, '/whep/cam', { ...SDP, origin } as typeof SDP);
  const good = await ask('https://good.example');
  assert.equal(good.headers.get('access-control-allow-origin'), 'https://good.example');
  for (const name of ['ETag', 'Link', 'Location']) {
    assert.ok(good.headers.get('access-control-expose-headers')?.includes(name));
  }
  assert.equal((await ask('https://bad.example')).headers.get('access-control-allow-origin'), null);
});

test('PATCH trickles and restarts ICE under the entity tag rules', async () => {
  await using gateway = await startGateway();
  const posted = await post(gateway);
  const url = `${gateway.url}${posted.headers.get('location')}`;
  const etag = posted.headers.get('etag')!;
  const ufrag = /a=ice-ufrag:(\S+)/.exec(await posted.text())![1];
  const [, own, pwd] = /a=ice-ufrag:(\S+)\r\na=ice-pwd:(\S+)/.exec(CHROME)!;
  const fragment = (user: string, password: string) =>
    `a=ice-ufrag:${user}\r\na=ice-pwd:${password}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 2130706431 192.0.2.99 40000 typ host\r\n`;
  const patch = (body: string, match?: string, type = FRAGMENT) =>
    fetch(url, {
      method: 'PATCH',
      headers: { 'content-type': type, ...(match === undefined ? {} : { 'if-match': match }) },
      body,
    });
  const trickle = fragment(own!, pwd!);
  const restart = fragment('neww', 'n'.repeat(24));

  assert.equal((await patch(trickle, etag)).status, 204);
  assert.equal((await patch(trickle, '"*"')).status, 204, 'no new credentials, no restart');
  assert.equal((await patch(trickle)).status, 428);
  assert.equal((await patch(trickle, '"stale"')).status, 412);
  assert.equal((await patch('a=candidate:x', etag)).status, 400);
  assert.equal((await patch(trickle, etag, 'application/sdp')).status, 415);
  assert.equal((await patch(restart, etag)).status, 422, 'a restart needs If-Match: "*"');

  const restarted = await patch(restart, '*');
  assert.equal(restarted.status, 200);
  assert.equal(restarted.headers.get('content-type'), FRAGMENT);
  const renewed = restarted.headers.get('etag')!;
  assert.notEqual(renewed, etag);
  const body = await restarted.text();
  assert.notEqual(/a=ice-ufrag:(\S+)/.exec(body)![1], ufrag);
  assert.match(body, /a=candidate:1 1 udp/);
  assert.equal((await patch(restart, etag)).status, 412, 'the old tag is gone');
  assert.equal((await patch(restart, renewed)).status, 204);

  assert.equal((await fetch(url.replace('/cam/', '/other/'), { method: 'DELETE' })).status, 404);
  assert.equal((await fetch(url, { method: 'DELETE', headers: { 'if-match': '"stale"' } })).status, 200);
  assert.equal((await fetch(url, { method: 'DELETE' })).status, 404);
  assert.equal((await patch(trickle, renewed)).status, 404);
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal(gateway.source.subscribers(), 0, 'the last viewer closes the subscription');
});

test('1000 POSTs fill the places, are refused cheaply, and leave the gateway healthy', {
  timeout: 120_000,
}, async () => {
  await using gateway = await startGateway({ webrtc: { maxViewers: 20 } });
  const locations: string[] = [];
  const refused: Response[] = [];
  for (let round = 0; round < 20; round++) {
    for (const response of await Promise.all(Array.from({ length: 50 }, () => post(gateway)))) {
      if (response.status === 201) locations.push(response.headers.get('location')!);
      else refused.push(response);
    }
  }
  assert.equal(locations.length, 20);
  assert.equal(refused.length, 980);
  assert.ok(refused.every(({ status, headers }) => status === 503 && Number(headers.get('retry-after')) > 0));
  assert.equal((await problem(refused[0]!)).code, 'CLEARWAY_OVERLOADED');
  for (const location of locations) {
    assert.equal((await fetch(`${gateway.url}${location}`, { method: 'DELETE' })).status, 200);
  }
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal(gateway.source.subscribers(), 0);
  assert.equal((await post(gateway)).status, 201);
});

test('a used-up port range refuses with 503, and a freed port serves the next viewer', async () => {
  await using gateway = await startGateway({ webrtc: { portRange: await freeUdpPorts(4) } });
  const first = await post(gateway);
  assert.deepEqual([first.status, (await post(gateway)).status], [201, 201]);
  const refused = await post(gateway);
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.deepEqual(await problem(refused), { status: 503, code: 'CLEARWAY_OVERLOADED' });
  await fetch(`${gateway.url}${first.headers.get('location')}`, { method: 'DELETE' });
  let again = await post(gateway);
  while (again.status === 503) again = await post(gateway);
  assert.equal(again.status, 201, 'once its sockets are closed');
});

test('ports taken by somebody else are found out, not offered', async () => {
  const ports = await freeUdpPorts(2);
  const sockets = await Promise.all(
    ports.map(async (port) => {
      const socket = createSocket('udp4').bind(port);
      await once(socket, 'listening');
      return socket;
    }),
  );
  await using gateway = await startGateway({ webrtc: { portRange: ports } });
  const response = await post(gateway);
  if (response.status === 201) {
    const offered = /a=candidate:\S+ 1 udp \d+ [\d.]+ (\d+)/g;
    const found = [...(await response.text()).matchAll(offered)].map(([, port]) => Number(port));
    assert.ok(
      found.every((port) => !ports.includes(port)),
      `${found}`,
    );
  } else assert.equal(response.status, 503);
  for (const socket of sockets) socket.close();
});

test('a port range without room for a viewer is a configuration error', async () => {
  for (const portRange of [
    [1, 2],
    [50, 1024],
  ] as [number, number][]) {
    await assert.rejects(startGateway({ webrtc: { portRange } }), { code: 'CLEARWAY_CONFIG_INVALID' });
  }
});

test('viewers of a removed stream are let go', async () => {
  await using gateway = await startGateway();
  await post(gateway);
  gateway.directory.remove('cam');
  assert.equal(gateway.publisher.sessions, 0);
  assert.equal((await post(gateway)).status, 404);
});
