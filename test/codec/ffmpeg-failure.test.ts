import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { startGarbageCamera, startHttpCamera, startSilentCamera } from '../support/bad-cameras.ts';
import { decodeFrames } from '../support/decode.ts';
import { renderClip, runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

/** Opens what must not open; the error's text may name the URL but no password. */
async function failure(url: string, options: Parameters<typeof decodeFrames>[2] = {}) {
  const decoded = await decodeFrames(url, Number.POSITIVE_INFINITY, options);
  assert.ok(decoded.error);
  assert.doesNotMatch(decoded.error.message, /hunter2/);
  return { code: decoded.error.code, again: decoded.again, retryable: decoded.error.retryable, decoded };
}

test('wrong credentials', async () => {
  await using camera = await startRtspCamera({ auth: { user: 'admin', password: 'right' } });
  const { code, retryable } = await failure(camera.url.replace('right', 'hunter2'));
  assert.equal(code, 'CLEARWAY_SOURCE_UNAUTHORIZED');
  assert.equal(retryable, true, 'the operator may change the password on the camera');
});

test('right credentials', async () => {
  await using camera = await startRtspCamera({ auth: { user: 'admin', password: 'hunter2' } });
  const { frames } = await decodeFrames(camera.url, 3);
  assert.equal(frames.length, 3);
});

for (const status of [401, 403]) {
  test(`HTTP ${status}`, async () => {
    await using camera = await startHttpCamera((_request, response) => response.writeHead(status).end());
    assert.equal((await failure(camera.url)).code, 'CLEARWAY_SOURCE_UNAUTHORIZED');
  });
}

test('an unknown path', async () => {
  await using camera = await startRtspCamera();
  assert.equal((await failure(camera.url.replace('/live', '/nothing'))).code, 'CLEARWAY_SOURCE_NOT_FOUND');
  await using http = await startHttpCamera((_request, response) => response.writeHead(404).end());
  assert.equal((await failure(http.url)).code, 'CLEARWAY_SOURCE_NOT_FOUND');
});

test('a camera or server that answers with an error: which one is said', async () => {
  await using camera = await startRtspCamera({
    launch: '( filesrc location=/nothing ! h264parse ! rtph264pay name=pay0 )',
  });
  await using http = await startHttpCamera((_request, response) => response.writeHead(500).end());
  for (const [url, said] of [
    [camera.url, /answered with an error \(503 Service Unavailable\): look at the camera$/],
    [http.url, /answered with an error \(500 Internal Server Error\): look at the camera$/],
  ] as const) {
    const { code, decoded } = await failure(url);
    assert.equal(code, 'CLEARWAY_SOURCE_UNREACHABLE');
    assert.match(decoded.error!.message, said);
  }
});

test('an unknown host and a closed port', async () => {
  assert.equal((await failure('rtsp://camera.invalid/live')).code, 'CLEARWAY_SOURCE_UNREACHABLE');
  const port = await freePort();
  for (const url of [
    `rtsp://127.0.0.1:${port}/live`,
    `rtmp://127.0.0.1:${port}/live/a`,
    `http://127.0.0.1:${port}/`,
  ]) {
    assert.equal((await failure(url)).code, 'CLEARWAY_SOURCE_UNREACHABLE', url);
  }
});

test('TLS asked of a port that does not speak it', async () => {
  await using camera = await startHttpCamera((_request, response) => response.end());
  for (const scheme of ['https', 'rtsps', 'rtmps']) {
    const { decoded } = await failure(`${scheme}://127.0.0.1:${camera.port}/live/a`);
    assert.match(decoded.error!.message, /does not speak TLS on that port/, scheme);
  }
});

test('a camera that accepts and never sends', async () => {
  await using camera = await startSilentCamera();
  for (const scheme of ['rtsp', 'rtmp', 'http']) {
    const { code } = await failure(`${scheme}://127.0.0.1:${camera.port}/live/a`, { connectTimeout: 1 });
    assert.equal(code, 'CLEARWAY_SOURCE_STALLED', scheme);
  }
});

test('a camera that stops sending', async () => {
  await using directory = await temporaryDirectory();
  const clip = await readFile(await renderClip(join(directory.path, 'a.ts'), { seconds: 6 }));
  await using camera = await startHttpCamera((_request, response) => void response.write(clip));
  const { code, decoded } = await failure(camera.url, { stallTimeout: 1 });
  assert.equal(code, 'CLEARWAY_SOURCE_STALLED');
  assert.ok(decoded.frames.length > 40);
});

test('a camera that sends garbage', async () => {
  await using camera = await startGarbageCamera();
  for (const scheme of ['rtsp', 'http']) {
    const { code } = await failure(`${scheme}://127.0.0.1:${camera.port}/`, { connectTimeout: 10 });
    assert.match(code, /^CLEARWAY_SOURCE_(NOT_VIDEO|UNREACHABLE|STALLED)$/, scheme);
  }
});

test('a web page is not a video', async () => {
  await using camera = await startHttpCamera(
    `<!doctype html><title>Camera</title>${'<p>Log in'.repeat(1000)}`,
    'text/html',
  );
  assert.equal((await failure(camera.url)).code, 'CLEARWAY_SOURCE_NOT_VIDEO');
});

test('a snapshot is not a video, however ffmpeg takes it', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'a.jpg');
  await runFfmpeg(['-f', 'lavfi', '-i', 'testsrc2=size=320x240', '-frames:v', '1', '-c:v', 'mjpeg', file]);
  await using camera = await startHttpCamera(await readFile(file), 'image/jpeg');
  for (const [path, words] of [
    ['snapshot.jpg', /\(a picture, or .*: give the URL of the video/],
    ['snapshot', /sent one picture and no more: give the URL of the video/],
  ] as const) {
    const { code, decoded } = await failure(camera.url + path);
    assert.equal(code, 'CLEARWAY_SOURCE_NOT_VIDEO');
    assert.match(decoded.error!.message, words);
  }
});

test('audio only', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'a.ts');
  await runFfmpeg(['-f', 'lavfi', '-i', 'sine', '-t', '2', '-c:a', 'aac', file]);
  await using camera = await startHttpCamera(await readFile(file));
  assert.equal((await failure(camera.url)).code, 'CLEARWAY_SOURCE_NO_VIDEO');
});

test('a picture beyond the limit', async () => {
  await using directory = await temporaryDirectory();
  const file = join(directory.path, 'huge.jpg');
  await runFfmpeg([
    '-f',
    'lavfi',
    '-i',
    'color=gray:size=16000x9000',
    '-frames:v',
    '1',
    '-c:v',
    'mjpeg',
    file,
  ]);
  await using camera = await startHttpCamera(await readFile(file), 'image/jpeg');
  assert.equal((await failure(camera.url)).code, 'CLEARWAY_PICTURE_SIZE');
});

test('an unknown video codec; an unknown audio codec is left out at the next try', async () => {
  await using directory = await temporaryDirectory();
  const clip = await readFile(await renderClip(join(directory.path, 'a.mkv'), { audio: 'aac' }));
  const renamed = (from: string, to: string) => {
    const copy = Buffer.from(clip);
    copy.write(to, copy.indexOf(from));
    return copy;
  };
  await using video = await startHttpCamera(renamed('V_MPEG4/ISO/AVC', 'V_MPEG4/XXX/AVC'));
  assert.equal((await failure(video.url)).code, 'CLEARWAY_SOURCE_UNSUPPORTED');
  await using audio = await startHttpCamera(renamed('A_AAC', 'A_XYZ'));
  const { again } = await failure(audio.url);
  assert.equal(again?.audio, false);
  const { frames } = await decodeFrames(audio.url, 10, again);
  assert.equal(frames.length, 10);
});

test('a camera that refuses TCP: UDP is the next to try, and only where the transport is auto', async () => {
  await using camera = await startRtspCamera({ protocols: 'udp' });
  const { again } = await failure(camera.url);
  assert.equal(again?.transport, 'udp');
  assert.equal((await failure(camera.url, { transport: 'tcp' })).again, undefined);
  const { frames } = await decodeFrames(camera.url, 5, again);
  assert.equal(frames.length, 5);
});

test('a stream that ends', async () => {
  await using directory = await temporaryDirectory();
  const clip = await readFile(await renderClip(join(directory.path, 'a.ts')));
  await using camera = await startHttpCamera(clip);
  const { code, retryable, decoded } = await failure(camera.url);
  assert.equal(code, 'CLEARWAY_SOURCE_ENDED');
  assert.equal(retryable, true);
  assert.equal(decoded.frames.length, 50);
});

test('a camera that is unplugged', async () => {
  await using camera = await startRtspCamera();
  const decoding = failure(camera.url, { stallTimeout: 3 });
  await camera.connected(1);
  await camera.kill();
  assert.match((await decoding).code, /^CLEARWAY_SOURCE_/);
});

test('no ffmpeg', async () => {
  const saved = process.env.FFMPEG_PATH;
  process.env.FFMPEG_PATH = '/nonexistent/ffmpeg';
  try {
    assert.equal((await failure('rtsp://127.0.0.1/')).code, 'CLEARWAY_FFMPEG_MISSING');
  } finally {
    if (saved === undefined) delete process.env.FFMPEG_PATH;
    else process.env.FFMPEG_PATH = saved;
  }
});

/** What an http source must never be able to make ffmpeg open. */
test('playlists and scripts from the network reach no local file', async () => {
  await using directory = await temporaryDirectory();
  const secret = await renderClip(join(directory.path, 'secret.ts'));
  await writeFile(join(directory.path, 'list.txt'), `ffconcat version 1.0\nfile ${secret}\n`);
  const bodies = {
    'a.m3u8': `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile://${secret}\n#EXT-X-ENDLIST\n`,
    'b.m3u8': `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n${secret}\n#EXT-X-ENDLIST\n`,
    'c.m3u8': `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nconcat:${secret}|${secret}\n#EXT-X-ENDLIST\n`,
    'd.m3u8': `#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nsubfile,,start,0,end,0,,:${secret}\n`,
    'e.txt': `ffconcat version 1.0\nfile ${secret}\n`,
    'f.sdp':
      'v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n',
    'g.mpd': `<?xml version="1.0"?><MPD><Period><AdaptationSet mimeType="video/mp2t"><Representation id="1"><BaseURL>file://${secret}</BaseURL></Representation></AdaptationSet></Period></MPD>`,
  };
  await using camera = await startHttpCamera((request, response) => {
    response.end(bodies[request.url!.slice(1) as keyof typeof bodies] ?? '');
  });
  for (const name of Object.keys(bodies)) {
    const { decoded } = await failure(camera.url + name, { connectTimeout: 5 });
    assert.equal(decoded.frames.length, 0, name);
  }
});
