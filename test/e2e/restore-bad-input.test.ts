import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Problem } from '../../src/http/problem.ts';
import { runFfmpeg, temporaryDirectory } from '../support/ffmpeg.ts';
import { ffprobe } from '../support/ffprobe.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { problem, RestoreClient } from '../support/restore-client.ts';

const TIMEOUT = { timeout: 120_000 };
const GIB = 2 ** 30;
const MODEL = { model: 'brighten' };
const X264 = ['-c:v', 'libx264', '-preset', 'ultrafast'];

const stack = new AsyncDisposableStack();
let directory: string;
let gateway: RunningGateway;
let client: RestoreClient;

before(async () => {
  directory = stack.use(await temporaryDirectory()).path;
  gateway = stack.use(await start(directory, { maxUpload: '4MiB', maxDuration: '20s' }));
  client = stack.use(await RestoreClient.connect(gateway.url));
}, TIMEOUT);
after(() => stack.disposeAsync());

function start(where: string, jobs: object): Promise<RunningGateway> {
  return startGateway(
    { rtmp: { enabled: false }, restorer: { models: 'test/fixtures/models' }, jobs: { minFree: 0, ...jobs } },
    where,
  );
}

/** A file made by ffmpeg of a lavfi source. */
async function render(name: string, source: string, ...options: string[]): Promise<string> {
  const path = join(directory, name);
  await runFfmpeg(['-f', 'lavfi', '-i', source, ...options, path]);
  return path;
}

/** Nothing is left of what was refused: neither arriving nor as a job. */
async function nothingLeft(): Promise<void> {
  assert.deepEqual(await readdir(join(directory, 'data/jobs/incoming')), []);
  const { jobs } = await client.jobs();
  const kept = jobs.filter(({ state }) => state === 'done').map(({ id }) => id);
  assert.deepEqual((await readdir(join(directory, 'data/jobs/files'))).sort(), kept.sort());
}

/** The video stream of the result of a file that is taken and restored. */
async function restored(file: string) {
  const job = await client.over((await client.submit(file, MODEL)).id);
  assert.equal(job.state, 'done', JSON.stringify(job.error));
  const path = join(directory, `result.${job.settings.container}`);
  const answer = await client.fetch(job.urls.video);
  await writeFile(path, Buffer.from(await answer.arrayBuffer()));
  return { job, video: (await ffprobe(path)).streams.find(({ codec_type }) => codec_type === 'video')! };
}

/** Sends a request byte by byte over a socket of its own; resolves with what is answered. */
async function raw(head: string[], body = ''): Promise<Problem> {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => {});
  socket.write(
    `${['POST /restore/video HTTP/1.1', `Host: ${hostname}`, ...head].join('\r\n')}\r\n\r\n${body}`,
  );
  let said = '';
  for await (const chunk of socket.setEncoding('utf8') as AsyncIterable<string>) {
    said += chunk;
    if (said.includes('"retryable"')) break;
  }
  return JSON.parse(said.slice(said.indexOf('\r\n\r\n'))) as Problem;
}

describe('a file that cannot be restored is refused at once', TIMEOUT, () => {
  const refusals: [what: string, code: string, make: () => Promise<string>][] = [
    ['text', 'CLEARWAY_SOURCE_NOT_VIDEO', () => made('film.mp4', 'Once upon a time.')],
    ['nothing', 'CLEARWAY_SOURCE_NOT_VIDEO', () => made('empty.mp4', '')],
    [
      'a playlist that names another file',
      'CLEARWAY_SOURCE_NOT_VIDEO',
      () => made('list.mp4', '#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'),
    ],
    [
      'a concat script that names another file',
      'CLEARWAY_SOURCE_NOT_VIDEO',
      () => made('script.mkv', "ffconcat version 1.0\nfile '/etc/passwd'\n"),
    ],
    [
      'MP4 cut off before its index',
      'CLEARWAY_SOURCE_NOT_VIDEO',
      async () => {
        const whole = await readFile(await render('whole.mp4', 'testsrc2=s=160x120:d=2', ...X264));
        return made('cut.mp4', whole.subarray(0, whole.length / 2));
      },
    ],
    ['sound only', 'CLEARWAY_SOURCE_NO_VIDEO', () => render('sound.mp4', 'sine=d=1', '-c:a', 'aac')],
    [
      'a picture of 8000 x 8000 in a few kilobytes',
      'CLEARWAY_PICTURE_SIZE',
      async () => {
        const small = await readFile(await render('small.avi', 'color=s=16x16:d=0.2', '-c:v', 'rawvideo'));
        // Width and height of its BITMAPINFOHEADER.
        const header = small.indexOf('strf') + 8;
        small.writeUInt32LE(8000, header + 4);
        small.writeUInt32LE(8000, header + 8);
        return made('bomb.avi', small);
      },
    ],
    [
      'a picture of 65535 x 65535 in 34 bytes',
      'CLEARWAY_PICTURE_SIZE',
      () =>
        made(
          'bomb.gif',
          Buffer.from('474946383961ffffffff800000000000ffffff2c00000000ffffffff00020044003b', 'hex'),
        ),
    ],
    [
      'HDR',
      'CLEARWAY_SOURCE_UNSUPPORTED',
      () =>
        render(
          'hdr.mkv',
          'testsrc2=s=160x120:d=0.2',
          ...['-c:v', 'libx265', '-pix_fmt', 'yuv420p10le', '-color_trc', 'smpte2084'],
          ...['-x265-params', 'log-level=error:transfer=smpte2084:colorprim=bt2020:colormatrix=bt2020nc'],
        ),
    ],
    [
      'more seconds than jobs.maxDuration',
      'CLEARWAY_VIDEO_TOO_LONG',
      () => render('long.mp4', 'testsrc2=s=64x64:r=1:d=30', ...X264),
    ],
  ];
  for (const [what, code, make] of refusals) {
    test(what, async () => {
      const { status, code: said, detail } = await client.refused(await make(), MODEL);
      assert.deepEqual([status, said], [422, code], detail);
      assert.doesNotMatch(detail, /clearway-test|incoming/, 'no path of the gateway is told');
      await nothingLeft();
    });
  }

  async function made(name: string, content: string | Uint8Array): Promise<string> {
    const path = join(directory, name);
    await writeFile(path, content);
    return path;
  }
});

describe('a file that is unusual is restored', TIMEOUT, () => {
  test('one of a single frame', async () => {
    const { video } = await restored(
      await render('one.mp4', 'testsrc2=s=160x120', '-frames:v', '1', ...X264),
    );
    assert.equal(video.nb_read_packets, '1');
  });

  test('ten seconds of black', async () => {
    const { video } = await restored(await render('black.mp4', 'color=black:s=160x120:r=10:d=10', ...X264));
    assert.equal(video.nb_read_packets, '100');
  });

  test('odd sizes', async () => {
    const { video } = await restored(
      await render('odd.mkv', 'testsrc2=s=161x121:d=0.4', '-c:v', 'ffv1', '-pix_fmt', 'yuv444p'),
    );
    assert.deepEqual([video.width, video.height], [160, 120]);
  });

  test('10 bit 4:2:2', async () => {
    const { video } = await restored(
      await render('ten.mov', 'testsrc2=s=160x120:d=0.4', '-c:v', 'prores_ks', '-pix_fmt', 'yuv422p10le'),
    );
    assert.equal(video.nb_read_packets, '10');
  });

  test('Matroska that was cut off, as far as it goes, and says so', async () => {
    const whole = await readFile(await render('whole.mkv', 'testsrc2=s=160x120:d=4', ...X264));
    const cut = join(directory, 'cut.mkv');
    await writeFile(cut, whole.subarray(0, whole.length * 0.6));
    const { job, video } = await restored(cut);
    const frames = Number(video.nb_read_packets);
    assert.ok(frames > 20 && frames < 100, `${frames}`);
    assert.equal(job.result?.frames, frames);
    assert.ok(job.result!.warnings.length > 0);
  });

  test('a container that its name does not tell', async () => {
    const webm = await render(
      'film.webm',
      'testsrc2=s=160x120:d=0.4',
      '-c:v',
      'libvpx',
      '-deadline',
      'realtime',
    );
    const job = await client.submit({ name: 'film.jpg', content: await readFile(webm) }, MODEL);
    assert.match(job.input.container, /webm/);
    assert.equal((await client.over(job.id)).state, 'done');
  });
});

test('a video track without a frame fails, and nothing of it is served', TIMEOUT, async () => {
  // The index of fragmented MP4 stands before the frames, which are cut off.
  const path = await render(
    'none.mp4',
    'testsrc2=s=160x120:d=1',
    ...X264,
    '-movflags',
    'empty_moov+frag_keyframe',
  );
  const whole = await readFile(path);
  await writeFile(path, whole.subarray(0, whole.indexOf('moof') - 4));
  const answer = await client.post(path, MODEL, '?wait=true');
  const { status, code } = await problem(answer);
  assert.equal(status, 422);
  assert.match(code, /^CLEARWAY_SOURCE_(NO_VIDEO|NOT_VIDEO|ENDED)$/);
  for (const job of (await client.jobs()).jobs.filter(({ state }) => state === 'failed')) {
    assert.equal((await problem(await client.fetch(job.urls.video))).code, code);
    assert.equal((await problem(await client.fetch(`${job.urls.video}?rendition=source`))).code, code);
  }
  await nothingLeft();
});

describe('what is too large', TIMEOUT, () => {
  const FORM = 'Content-Type: multipart/form-data; boundary=b';
  const PART = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n';

  test('is refused before it is sent, two gigabytes over the limit', async () => {
    const { status, code } = await raw([FORM, `Content-Length: ${2 * GIB + 4 * 2 ** 20}`]);
    assert.deepEqual([status, code], [413, 'CLEARWAY_PAYLOAD_TOO_LARGE']);
  });

  test('is cut off where the limit is when its size was not told', async () => {
    const chunk = `100000\r\n${'x'.repeat(2 ** 20)}\r\n`;
    const head = [FORM, 'Transfer-Encoding: chunked'];
    const part = `${PART.length.toString(16)}\r\n${PART}\r\n`;
    const { status, code } = await raw(head, part + chunk.repeat(6));
    assert.deepEqual([status, code], [413, 'CLEARWAY_PAYLOAD_TOO_LARGE']);
    await nothingLeft();
  });

  test('is refused as a resumable upload too', async () => {
    const answer = await client.fetch('/restore/uploads', {
      method: 'POST',
      headers: { 'tus-resumable': '1.0.0', 'upload-length': String(2 * GIB) },
    });
    assert.equal((await problem(answer)).code, 'CLEARWAY_PAYLOAD_TOO_LARGE');
    assert.deepEqual(await readdir(join(directory, 'data/jobs/uploads')), []);
  });

  test('and settings out of range name the field', async () => {
    const file = { name: 'x', content: Buffer.from('x') };
    for (const [field, value] of [
      ['denoise_strength', '1.5'],
      ['denoise_strength', 'much'],
      ['target_resolution', '4320p'],
      ['codec', 'mpeg2'],
      ['crf', '60'],
      ['model', 'no-such'],
      ['model', '../../etc'],
      ['colour', 'red'],
    ] as const) {
      const { status, detail } = await client.refused(file, { [field]: value });
      assert.equal(status, 400);
      assert.match(detail, new RegExp(value === 'no-such' ? value : field), detail);
    }
    await nothingLeft();
  });
});

test('of a client that hangs up nothing stays', TIMEOUT, async () => {
  const { hostname, port } = new URL(gateway.url);
  const socket = connect(Number(port), hostname);
  const body = '--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n';
  socket.write(
    `POST /restore/video HTTP/1.1\r\nHost: ${hostname}\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 1000000\r\n\r\n${body}${'x'.repeat(500_000)}`,
  );
  const incoming = join(directory, 'data/jobs/incoming');
  const arrived = async () => {
    const [name] = await readdir(incoming);
    return name !== undefined && (await stat(join(incoming, name)).catch(() => undefined))?.size;
  };
  while (!(await arrived())) await new Promise(setImmediate);
  socket.destroy();
  while ((await readdir(incoming)).length > 0) await new Promise(setImmediate);
  await nothingLeft();
});

test('names are for people and lead nowhere', TIMEOUT, async () => {
  const content = await readFile(await render('small.mp4', 'testsrc2=s=64x64:d=0.2', ...X264));
  for (const [at, [name, shown]] of (
    [
      ['../../../../etc/passwd', 'passwd'],
      ['..\\..\\boot.ini', 'boot.ini'],
      ['..', 'video'],
      ['a\u0007b\u202ec.mp4', 'abc.mp4'],
      ['-i /etc/passwd;$(id).mp4', 'passwd;$(id).mp4'],
      [`${'n'.repeat(5000)}.mp4`, 'n'.repeat(200)],
      ["Übung '1'.mp4", "Übung '1'.mp4"],
    ] as const
  ).entries()) {
    const job = await client.submit({ name, content }, { ...MODEL, crf: String(at) });
    assert.equal(job.name, shown);
    await client.over(job.id);
    const answer = await client.fetch(`${job.urls.video}?download=true`);
    assert.match(
      answer.headers.get('content-disposition') ?? '',
      /^attachment; filename="[^"\\/]+"; filename\*=UTF-8''/,
    );
    await answer.body?.cancel();
  }
  for (const path of ['..%2f..%2fclearway.yml', '%2e%2e', 'x', `${'0'.repeat(31)}%00`]) {
    const { status } = await problem(await client.fetch(`/restore/jobs/${path}`));
    assert.equal(status, 404);
  }
  assert.deepEqual((await readdir(join(directory, 'data/jobs'))).sort(), [
    ...['files', 'incoming', 'queue.db', 'queue.db-wal', 'uploads'],
  ]);
  await nothingLeft();
});

test('the same file sent twice at once is one job', TIMEOUT, async () => {
  const file = await render('twice.mp4', 'testsrc2=s=160x120:d=1', ...X264);
  const [one, two] = await Promise.all([client.submit(file, MODEL), client.submit(file, MODEL)]);
  assert.equal(one.id, two.id);
  const done = await client.over(one.id);
  assert.equal(done.attempts, 1);
  const third = await client.post(file, MODEL);
  assert.equal(third.status, 200);
  const metrics = await (await client.fetch('/metrics')).text();
  assert.match(metrics, /clearway_job_requests_total\{outcome="cached"\} 1\n/);
  await nothingLeft();
});

describe('a full disk', TIMEOUT, () => {
  let disk: { path: string } | { missing: string };
  const own = new AsyncDisposableStack();
  before(async () => {
    const { path } = own.use(await temporaryDirectory());
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', path], { stdio: 'pipe' });
      own.defer(() => void execFileSync('umount', ['--lazy', path]));
      disk = { path };
    } catch (error) {
      disk = { missing: `no tmpfs can be mounted here: ${(error as Error).message}` };
    }
  });
  after(() => own.disposeAsync());

  test('in mid-job fails the job, and the next one has room again', async (t) => {
    if ('missing' in disk) return t.skip(disk.missing);
    await using small = await start(disk.path, {});
    using caller = await RestoreClient.connect(small.url);
    const noise = await render(
      'noise.mp4',
      'testsrc2=s=320x240:d=1,noise=alls=40:allf=t',
      ...['-c:v', 'libx264', '-crf', '35'],
    );
    assert.ok((await stat(noise)).size < 2 ** 20);
    const job = await caller.submit(noise, { model: 'none', crf: '0', target_resolution: '720p' });
    const failed = await caller.over(job.id);
    assert.equal(failed.error?.code, 'CLEARWAY_DISK_FULL');
    assert.equal((await problem(await caller.fetch(job.urls.video))).status, 507);
    while ((await readdir(join(disk.path, 'data/jobs/files'))).length > 0) await new Promise(setImmediate);
    const next = await caller.submit(await render('fits.mp4', 'testsrc2=s=64x64:d=0.2', ...X264), MODEL);
    assert.equal((await caller.over(next.id)).state, 'done');

    const large = await caller.post({ name: 'x', content: Buffer.alloc(4 << 20, 1) }, MODEL);
    assert.deepEqual([large.status, (await problem(large)).code], [507, 'CLEARWAY_DISK_FULL']);
    assert.deepEqual(await readdir(join(disk.path, 'data/jobs/incoming')), []);
    return undefined;
  });
});
