import assert from 'node:assert/strict';
import { get as httpGet, type IncomingMessage } from 'node:http';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { createH264Source } from '../../support/h264-source.ts';
import { type ParsedPlaylist, PlaylistChecker, parsePlaylist } from './playlist-checker.ts';
import { startHls } from './server.ts';

/** Short parts and segments, so that much happens in little time. */
const QUICK = { part: 200, segment: 1000, segments: 3 };
const MEDIA = 'test/restored/media.m3u8';

/** The part that is hinted at: [msn, part]. */
function hinted(playlist: ParsedPlaylist): [number, number] {
  const [msn, part] = playlist.hint!.split('.').map(Number);
  return [msn!, part!];
}

test('the multivariant playlist describes the stream and leads to the media', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const response = await hls.get('test/index.m3u8');
  assert.equal(response.headers.get('content-type'), 'application/vnd.apple.mpegurl');
  assert.equal(response.headers.get('cache-control'), 'no-store');
  const [, , stream, uri] = (await response.text()).split('\n');
  assert.match(
    stream!,
    /^#EXT-X-STREAM-INF:BANDWIDTH=\d+,CODECS="avc1\.42[0-9a-f]{4},mp4a\.40\.2",RESOLUTION=320x240,FRAME-RATE=25\.000$/,
  );
  const media = parsePlaylist(await hls.text(`test/${uri}`));
  assert.ok(media.segments[0]!.uri, 'one whole segment at least');
  const first = media.segments[0]!;
  for (const file of [first.map!, first.uri!, first.parts[0]!.uri]) {
    const answer = await hls.get(`test/restored/${file}`);
    assert.equal(answer.status, 200);
    assert.equal(answer.headers.get('content-type'), 'video/mp4');
    assert.match(answer.headers.get('cache-control')!, /max-age=31536000, immutable/);
    assert.ok((await answer.arrayBuffer()).byteLength > 500);
  }
});

test('over many blocking reloads and delta updates the playlist keeps its promises', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], { ...QUICK, segments: 9 });
  const checker = new PlaylistChecker();
  let playlist = checker.check(await hls.text(MEDIA));
  let skips = 0;
  while (checker.reloads < 55) {
    const [msn, part] = hinted(playlist);
    const query = `_HLS_msn=${msn}&_HLS_part=${part}`;
    const [full, delta] = await Promise.all([
      hls.text(`${MEDIA}?${query}`),
      hls.text(`${MEDIA}?${query}&_HLS_skip=YES`),
    ]);
    playlist = checker.check(full);
    const [nextMsn, nextPart] = hinted(playlist);
    assert.ok(nextMsn > msn || (nextMsn === msn && nextPart > part), 'answered before the part was there');
    const short = parsePlaylist(delta);
    skips = Math.max(skips, short.skipped);
    if (short.hint !== playlist.hint) continue; // a part came between the two answers
    assert.deepEqual(
      short.segments,
      parsePlaylist(full).segments.slice(short.skipped),
      'delta = full - skipped',
    );
    assert.equal(short.mediaSequence, playlist.mediaSequence);
  }
  assert.ok(skips >= 2, 'the window is long enough to skip');
  assert.ok(checker.segments.size >= 10);
});

test('a segment requested whole and the parts it was made of are the same bytes', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const { segments } = parsePlaylist(await hls.text(MEDIA));
  const { parts, uri } = segments[0]!;
  const bytes = async (file: string) =>
    Buffer.from(await (await hls.get(`test/restored/${file}`)).arrayBuffer());
  const whole = await bytes(uri!);
  const joined = Buffer.concat(await Promise.all(parts.map((part) => bytes(part.uri))));
  assert.ok(whole.length > 1000 && whole.equals(joined));
});

test('a hinted part is answered when it exists; what was never hinted is not found', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  let playlist = parsePlaylist(await hls.text(MEDIA));
  // The first part of a segment always comes; others may turn out not to.
  while (hinted(playlist)[1] !== 0) {
    const [msn, part] = hinted(playlist);
    playlist = parsePlaylist(await hls.text(`${MEDIA}?_HLS_msn=${msn}&_HLS_part=${part}`));
  }
  const [msn] = hinted(playlist);
  const part = await hls.get(`test/restored/${playlist.hint}`);
  assert.equal(part.status, 200);
  const bytes = Buffer.from(await part.arrayBuffer());
  assert.equal(bytes.toString('latin1', 4, 8), 'moof');
  const now = parsePlaylist(await hls.text(`${MEDIA}?_HLS_msn=${msn}&_HLS_part=0`));
  assert.equal(now.segments.at(-1)!.parts[0]!.uri, playlist.hint);
  for (const file of [
    `${msn + 1}.0.m4s`,
    `${msn}.99.m4s`,
    `${msn + 5}.m4s`,
    '1.m4s',
    'init-1.mp4',
    'x.mp4',
  ]) {
    const missing = await hls.get(`test/restored/${file}`);
    assert.equal(missing.status, 404, file);
    assert.equal(missing.headers.get('cache-control'), 'no-store');
    assert.equal(((await missing.json()) as { code: string }).code, 'CLEARWAY_NOT_FOUND');
  }
});

test('a part beyond the last of its segment means the first of the next', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const { segments } = parsePlaylist(await hls.text(MEDIA));
  const { msn, parts } = segments.findLast(({ uri }) => uri !== undefined)!;
  const later = parsePlaylist(await hls.text(`${MEDIA}?_HLS_msn=${msn}&_HLS_part=${parts.length}`));
  assert.ok(later.segments.some((segment) => segment.msn === msn + 1));
});

test('delivery directives that make no sense are refused', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const [msn] = hinted(parsePlaylist(await hls.text(MEDIA)));
  for (const query of [
    '_HLS_part=1',
    `_HLS_msn=${msn + 4}`,
    `_HLS_msn=${msn}&_HLS_part=60`,
    '_HLS_msn=-1',
    '_HLS_msn=x',
    `_HLS_msn=${msn}&_HLS_msn=${msn}`,
    '_HLS_msn=9999999999999999999999',
    `_HLS_msn=${msn}&_HLS_part=1.5`,
    '_HLS_skip=no',
  ]) {
    const response = await hls.get(`${MEDIA}?${query}`);
    assert.equal(response.status, 400, query);
    assert.match(response.headers.get('content-type')!, /^application\/problem\+json/);
  }
  // What has long been published is answered at once.
  parsePlaylist(await hls.text(`${MEDIA}?_HLS_msn=5&_HLS_part=900`));
});

test('playlists are gzipped for who takes it, and cached as their kind allows', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const plain = await hls.text(MEDIA);
  const raw = await new Promise<IncomingMessage>((resolve, reject) => {
    httpGet(`${hls.origin}/hls/${MEDIA}`, { headers: { 'accept-encoding': 'gzip' } }, resolve).on(
      'error',
      reject,
    );
  });
  assert.equal(raw.headers['content-encoding'], 'gzip');
  assert.equal(raw.headers['cache-control'], 'no-cache');
  assert.match(raw.headers.vary!, /Accept-Encoding/);
  const body = gunzipSync(Buffer.concat(await raw.toArray())).toString();
  assert.deepEqual(Object.keys(parsePlaylist(body)), Object.keys(parsePlaylist(plain)));
  const identity = await hls.get(MEDIA, { headers: { 'accept-encoding': 'gzip;q=0, identity' } });
  assert.equal(identity.headers.get('content-encoding'), null);
  const [msn, part] = hinted(parsePlaylist(await identity.text()));
  const blocking = await hls.get(`${MEDIA}?_HLS_msn=${msn}&_HLS_part=${part}`);
  assert.equal(blocking.headers.get('cache-control'), 'max-age=6');
  await blocking.arrayBuffer();
});

test('an access token in the URL goes along to every URL that follows', async () => {
  const source = await createH264Source();
  await using hls = await startHls([source], QUICK);
  const [, , , uri] = (await hls.text('test/index.m3u8?token=a%26b')).split('\n');
  assert.match(uri!, /&token=a%26b$/);
  const media = parsePlaylist(await hls.text(`test/${uri}`));
  const { map, parts, uri: segment } = media.segments[0]!;
  for (const url of [map!, parts[0]!.uri, segment!]) {
    assert.match(url, /\?token=a%26b$/);
    assert.equal((await hls.get(`test/restored/${url}`)).status, 200);
  }
  assert.match(media.hint!, /\?token=a%26b$/);
});

test('unknown streams and renditions are named as such', async () => {
  await using hls = await startHls([]);
  for (const [path, status, code] of [
    ['nobody/index.m3u8', 404, 'CLEARWAY_STREAM_NOT_FOUND'],
    ['nobody/restored/media.m3u8', 404, 'CLEARWAY_STREAM_NOT_FOUND'],
    ['nobody/restored/1.m4s', 404, 'CLEARWAY_NOT_FOUND'],
    ['nobody/index.m3u8?rendition=blurred', 400, 'CLEARWAY_BAD_REQUEST'],
    ['nobody/blurred/media.m3u8', 400, 'CLEARWAY_BAD_REQUEST'],
  ] as const) {
    const response = await hls.get(path);
    assert.equal(response.status, status, path);
    assert.equal(((await response.json()) as { code: string }).code, code);
  }
});
