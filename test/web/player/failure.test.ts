import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/web/core/api.ts';
import { failureOf } from '../../../src/web/player/webrtc.ts';

test('what a refused WHEP offer means for the player', () => {
  const kind = (...error: ConstructorParameters<typeof ApiError>) => failureOf(new ApiError(...error)).kind;
  assert.equal(kind(0, 'UNREACHABLE', ''), 'gone');
  assert.equal(kind(502, 'FOREIGN', ''), 'gone');
  assert.equal(kind(403, 'FOREIGN', ''), 'unusable'); // a proxy that knows nothing of who may watch
  assert.equal(kind(401, 'CLEARWAY_UNAUTHORIZED', ''), 'refused');
  assert.equal(kind(503, 'CLEARWAY_STREAM_OFFLINE', ''), 'offline');
  assert.equal(kind(404, 'CLEARWAY_STREAM_NOT_FOUND', ''), 'offline');
  assert.equal(kind(404, 'CLEARWAY_NOT_FOUND', ''), 'unusable'); // WebRTC is not served at all
  assert.equal(kind(503, 'CLEARWAY_OVERLOADED', '', 5), 'unusable');
  assert.equal(failureOf(new Error('no H.264 here')).kind, 'unusable');
});
