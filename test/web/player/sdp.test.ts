import assert from 'node:assert/strict';
import { test } from 'node:test';
import { candidatesOf, fragment, iceServers, restarted } from '../../../src/web/player/sdp.ts';

const ANSWER = [
  'v=0',
  'a=group:BUNDLE 0 1',
  'm=video 9 UDP/TLS/RTP/SAVPF 102',
  'a=ice-ufrag:old1',
  'a=ice-pwd:oldpasswordoldpasswordold',
  'a=candidate:1 1 udp 1 192.0.2.1 4000 typ host',
  'a=mid:0',
  'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  'a=ice-ufrag:old1',
  'a=ice-pwd:oldpasswordoldpasswordold',
  'a=mid:1',
  '',
].join('\r\n');

test('a trickle fragment names credentials, section and candidates', () => {
  const body = fragment(ANSWER, ['candidate:2 1 udp 1 192.0.2.9 5000 typ host']);
  assert.match(body, /^a=ice-ufrag:old1\r\na=ice-pwd:oldpassword/);
  assert.match(
    body,
    /\r\nm=video 9 [^\r]+\r\na=mid:0\r\na=candidate:2 1 udp 1 192\.0\.2\.9 5000 typ host\r\n$/,
  );
});

test('a restart replaces credentials everywhere and candidates once', () => {
  const fresh =
    'a=ice-ufrag:new2\r\na=ice-pwd:newpasswordnewpasswordnew\r\na=candidate:7 1 udp 1 192.0.2.7 7000 typ host\r\n';
  const answer = restarted(ANSWER, fresh);
  assert.equal(answer.match(/a=ice-ufrag:new2/g)?.length, 2);
  assert.doesNotMatch(answer, /old/);
  assert.deepEqual(candidatesOf(answer), ['candidate:7 1 udp 1 192.0.2.7 7000 typ host']);
  assert.ok(answer.indexOf('candidate:7') < answer.indexOf('m=audio'));
});

test('a restart without candidates keeps the ones known', () => {
  const answer = restarted(ANSWER, 'a=ice-ufrag:new2\r\na=ice-pwd:newpasswordnewpasswordnew\r\n');
  assert.deepEqual(candidatesOf(answer), candidatesOf(ANSWER));
});

test('STUN and TURN servers come from Link headers, other links do not', () => {
  const link =
    '<stun:stun.example.net>; rel="ice-server", <turn:turn.example.net?transport=udp>; rel="ice-server"; username="u"; credential="p,w"; credential-type="password", <https://example.net/x>; rel="urn:ietf:params:whep:ext:x"';
  assert.deepEqual(iceServers(link), [
    { urls: 'stun:stun.example.net' },
    { urls: 'turn:turn.example.net?transport=udp', username: 'u', credential: 'p,w' },
  ]);
  const quoted = '<turn:turn.example>; rel="ice-server"; username="u\\"1"; credential="a\\\\b"';
  assert.deepEqual(iceServers(quoted), [{ urls: 'turn:turn.example', username: 'u"1', credential: 'a\\b' }]);
  assert.deepEqual(iceServers(null), []);
});
