import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { stringify } from 'yaml';
import type { ConfigInput, StreamConfig } from '../../src/config/schema.ts';
import { startHttpCamera } from '../support/bad-cameras.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import {
  patientStream,
  type RunningGateway,
  refusedStart,
  startGateway,
  withFreePorts,
} from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { mountSmallDisk, type SmallDisk } from '../support/small-disk.ts';

const TIMEOUT = { timeout: 120_000 };

let gateway: RunningGateway;
/** For the configuration. */
let disk: SmallDisk;
const stack = new AsyncDisposableStack();

before(async () => {
  const directory = stack.use(await temporaryDirectory());
  const camera = stack.use(await startRtspCamera({ width: 160, height: 120, rate: 15 }));
  disk = stack.use(mountSmallDisk(directory.path, 64));
  gateway = stack.use(
    await startGateway(
      {
        restorer: { models: 'test/fixtures/models' },
        streams: {
          healthy: patientStream(camera.url, { model: 'brighten' }),
          spoilt: patientStream(camera.url, { model: 'nan-weights' }),
          missing: patientStream(camera.url, { model: 'no-such-model' }),
          // As a caller of the API left it, whose name has another address by now: 169.254.169.254.
          moved: { source: 'rtsp://2852039166/live', origin: 'api' },
        },
      },
      directory.path,
    ),
  );
  await gateway.until('healthy', ({ state }) => state === 'live');
}, TIMEOUT);
after(() => stack.disposeAsync());

/** The healthy stream published on and never changed its state. */
async function healthy(): Promise<void> {
  const { frames } = await gateway.status('healthy');
  await gateway.until('healthy', (status) => status.frames.restored > frames.restored + 5);
  const states = gateway.log.filter(({ msg, stream }) => msg === 'stream state' && stream === 'healthy');
  assert.deepEqual(
    states.map(({ to }) => to),
    ['connecting', 'live'],
  );
}

interface Problem {
  code: string;
  detail: string;
}

async function refused(method: string, path: string, body: unknown): Promise<Problem & { status: number }> {
  const answer = await gateway.api(method, path, body);
  return { ...(answer.body as Problem), status: answer.status };
}

test('sources that lead to files, metadata services or options of ffmpeg are refused', TIMEOUT, async () => {
  for (const source of [
    'file:///etc/passwd',
    '/etc/passwd',
    'concat:/etc/passwd|/etc/shadow',
    'lavfi:testsrc',
    'subfile,,start,0,end,9,,:/etc/passwd',
    'http://169.254.169.254/latest/meta-data',
    'http://[::ffff:169.254.169.254]/',
    'http://2852039166/',
    'rtmp://127.0.0.1/live/a listen=1 timeout=1',
    'http://127.0.0.1/?listen=1',
    '-i /etc/passwd -f null',
    'rtsp://127.0.0.1/a\n-i /etc/passwd',
  ]) {
    for (const { status, code, detail } of [
      await refused('POST', '/api/v1/streams', { name: 'evil', source }),
      await refused('PATCH', '/api/v1/streams/healthy', { source }),
    ]) {
      assert.deepEqual([status, code], [400, 'CLEARWAY_URL_REFUSED'], source);
      assert.ok(detail.length > 20);
    }
  }
  assert.equal((await gateway.api('GET', '/api/v1/streams/evil')).status, 404);
  await healthy();
});

test('a source from the API is checked as that after a restart too', TIMEOUT, async () => {
  const { error } = await gateway.until('moved', ({ state }) => state === 'backoff');
  assert.equal(error?.code, 'CLEARWAY_URL_REFUSED');
  assert.match(error.message, /without `origin: api`/);
});

test(
  'a source from the API is marked in the file, and becomes its author’s without the mark',
  TIMEOUT,
  async () => {
    const asked = 'rtsp://127.0.0.1:1/camera';
    const written = 'lavfi:testsrc2=size=160x120:rate=15';
    const added = await gateway.api('POST', '/api/v1/streams', {
      name: 'mixed',
      source: asked,
      model: 'none',
    });
    assert.equal(added.status, 201);
    const edit = async (from: string, to: string) => {
      const text = await readFile(gateway.configPath, 'utf8');
      assert.ok(text.includes(from));
      await writeFile(gateway.configPath, text.replace(from, to));
    };
    await edit(asked, written);
    const refusal = await gateway.until('mixed', ({ error }) => error?.code === 'CLEARWAY_URL_REFUSED');
    assert.equal(refusal.source, written);
    await edit('    model: none\n    origin: api\n', '    model: none\n');
    await gateway.until('mixed', ({ state }) => state === 'live');

    // A change that is refused leaves it so.
    const { status } = await refused('PATCH', '/api/v1/streams/mixed', {
      source: asked,
      model: 'no-such-model',
    });
    assert.equal(status, 400);
    const { since } = await gateway.status('mixed');
    assert.equal((await gateway.api('PATCH', '/api/v1/streams/mixed', { audio: false })).status, 200);
    await gateway.until('mixed', (now) => now.state === 'live' && now.since !== since);
    assert.equal((await gateway.api('DELETE', '/api/v1/streams/mixed')).status, 204);
  },
);

test('the same source again leaves it its author’s', TIMEOUT, async () => {
  const { body } = await gateway.api('GET', '/api/v1/streams/healthy');
  const { source } = (body as { settings: StreamConfig }).settings;
  assert.equal((await gateway.api('PATCH', '/api/v1/streams/healthy', { source })).status, 200);
  await healthy();
});

test('a camera that redirects to a metadata service leads nowhere', TIMEOUT, async () => {
  const location = 'http://169.254.169.254/latest/meta-data';
  await using camera = await startHttpCamera((_request, response) =>
    response.writeHead(302, { location }).end(),
  );
  const created = await gateway.api('POST', '/api/v1/streams', { name: 'detour', source: camera.url });
  assert.equal(created.status, 201);
  const { error, state } = await gateway.until('detour', ({ error }) => error !== undefined);
  assert.deepEqual([error!.code, state], ['CLEARWAY_URL_REFUSED', 'backoff']);
  assert.equal((await gateway.api('DELETE', '/api/v1/streams/detour')).status, 204);
  await healthy();
});

test('of two requests to add one stream, one is refused and changes nothing', TIMEOUT, async () => {
  const sources = ['rtsp://127.0.0.1:1/a', 'rtsp://127.0.0.1:1/b'];
  const answers = await Promise.all(
    sources.map((source) =>
      gateway.api('POST', '/api/v1/streams', { name: 'twice', source, enabled: false }),
    ),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [201, 409]);
  const won = sources[answers.findIndex(({ status }) => status === 201)];
  assert.equal((await gateway.status('twice')).source, won);
  assert.equal((await gateway.api('DELETE', '/api/v1/streams/twice')).status, 204);
});

test('models that do not meet the contract are refused by name with what is wrong', TIMEOUT, async () => {
  for (const [model, wrong] of [
    ['wrong-hash', /sha256/],
    ['nan-weights', /strength 0/],
    ['float-out', /uint8/],
    ['wrong-window', /frame_/],
    ['no-strength', /strength/],
  ] as const) {
    const { status, code, detail } = await refused('PATCH', '/api/v1/streams/healthy', { model });
    assert.deepEqual([status, code], [400, 'CLEARWAY_MODEL_INVALID'], model);
    assert.match(detail, wrong);
  }
  const unknown = await refused('PATCH', '/api/v1/streams/healthy', { model: 'no-such-model' });
  assert.deepEqual([unknown.status, unknown.code], [400, 'CLEARWAY_MODEL_NOT_FOUND']);
  await healthy();
});

test('a model the file names wrongly lets the picture through and says why', TIMEOUT, async (t) => {
  for (const [name, wrong] of [
    ['spoilt', /nan-weights is refused/],
    ['missing', /no model no-such-model/],
  ] as const) {
    const { restoration, frames } = await gateway.until(name, (status) => status.frames.passthrough > 5);
    t.diagnostic(`${restoration?.model}: ${restoration?.reason}`);
    assert.equal(restoration?.model, 'none');
    assert.match(restoration?.reason ?? '', wrong);
    assert.equal(frames.restored, 0);
  }
});

test('a full disk refuses the change, keeps the file, and everything goes on', TIMEOUT, async (t) => {
  if ('missing' in disk) return t.skip(disk.missing);
  disk.fill();
  const { status, code } = await refused('PATCH', '/api/v1/streams/healthy', { strength: 0.5 });
  assert.deepEqual([status, code], [507, 'CLEARWAY_DISK_FULL']);
  await healthy();
  disk.makeRoom();
  assert.equal((await gateway.api('PATCH', '/api/v1/streams/healthy', { strength: 0.5 })).status, 200);
});

test('offers that are no offers are refused, and so are huge ones', TIMEOUT, async () => {
  const offer = (body: string) =>
    fetch(`${gateway.url}/whep/healthy`, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body,
    });
  assert.equal((await offer('v=0\r\nnonsense')).status, 400);
  assert.equal((await offer(`v=0\r\n${'a=x:y\r\n'.repeat(150_000)}`)).status, 413);
  await healthy();
});

/** What `clearway serve` says of a configuration it must refuse. */
async function start(config: string | ConfigInput) {
  await using directory = await temporaryDirectory();
  const path = join(directory.path, 'clearway.yml');
  const text = typeof config === 'string' ? config : stringify(withFreePorts(config, await freePort()));
  await writeFile(path, text);
  return await refusedStart(path);
}

test('a port in use ends the start with exit code 1 and a sentence', TIMEOUT, async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  try {
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    for (const setting of ['http', 'rtmp']) {
      const { code, stderr } = await start({ [setting]: { port } });
      assert.equal(code, 1);
      assert.match(stderr, new RegExp(`^CLEARWAY_PORT_IN_USE: .*${port}.*\\n$`));
    }
  } finally {
    taken.close();
  }
});

test(
  'a configuration that cannot be run ends the start with exit code 2, line and reason',
  TIMEOUT,
  async () => {
    const wrong = await start('streams:\n  gate:\n    source: rtsp://127.0.0.1/a\n    strength: 2\n');
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /^CLEARWAY_CONFIG_INVALID: .*clearway\.yml:4\b.*strength/);
    const open = await start({ http: { host: '0.0.0.0', port: 0 } });
    assert.equal(open.code, 2);
    assert.match(open.stderr, /^CLEARWAY_BIND_REFUSED: /);
  },
);
