import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { chmod, cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { ffmpegPath } from '../../src/codec/ffmpeg.ts';
import { saysSoftware, tryHardwareDecoders } from '../../src/codec/hardware-decoder.ts';
import type { RestorerEvent, StreamReport } from '../../src/contracts/restorer.ts';
import { RestorerClient } from '../../src/streams/restorer-client.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { isRunning } from '../support/processes.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

/** How an ffmpeg with a GPU answers `-hwaccel cuda`, by what is written in a file. */
type State = 'works' | 'software' | 'refuses' | 'garbles' | 'crashes' | 'hangs';

const directory = await temporaryDirectory();
after(() => directory[Symbol.asyncDispose]());
const real = ffmpegPath();
const fake = join(directory.path, 'ffmpeg');
const setState = (state: State) => writeFile(join(directory.path, 'state'), state);
// The real one decodes in software; what is logged is what differs.
await writeFile(
  fake,
  `#!/bin/bash
state=$(cat '${directory.path}/state')
[[ " $* " == *' -hwaccels '* ]] && { echo 'Hardware acceleration methods:'; echo cuda; exit; }
[[ " $* " == *' -hwaccel cuda '* ]] || exec '${real}' "$@"
[ $state = refuses ] && { echo '[AVHWDeviceContext @ 0x1] [error] Device creation failed: -12.' >&2; exit 1; }
[ $state = crashes ] && { echo '[debug] Opening an input file' >&2; kill -SEGV $$; }
[ $state = hangs ] && { echo $$ > '${directory.path}/pid'; exec sleep infinity; }
args=()
for arg; do
  case $arg in -hwaccel | -hwaccel_device) skip=1 ;; *) [ "$skip" ] || args+=("$arg"); skip= ;; esac
  [ $state = garbles ] && [ "$arg" = yuv420p ] && args+=(-vf negate)
done
[ $state = software ] && exec '${real}' "\${args[@]}"
exec '${real}' "\${args[@]}" 2> >(exec sed -u 's/pixfmt:yuv4[24][024]p/pixfmt:nv12/; s/Format yuv420p chosen/Format cuda chosen/' >&2)
`,
);
await chmod(fake, 0o755);

const TRIALS: [State, boolean, RegExp][] = [
  ['works', true, /decodes a clip as software does/],
  ['software', false, /in software all the same/],
  ['refuses', false, /Device creation failed/],
  ['garbles', false, /another picture/],
  ['crashes', false, /^ffmpeg died of SIGSEGV$/],
];
for (const [state, works, detail] of TRIALS) {
  test(`the trial of a hardware decoder: ${state} ${works ? 'is taken' : 'is refused, and named'}`, async () => {
    await setState(state);
    const trials = await tryHardwareDecoders(fake, 0);
    assert.deepEqual(
      trials.map((trial) => [trial.method, trial.works]),
      [['cuda', works]],
    );
    assert.match(trials[0]!.detail, detail);
  });
}

test('a trial that hangs does not outlive the restorer that is killed meanwhile, nor leaves a file', {
  skip: process.platform !== 'linux',
}, async () => {
  await setState('hangs');
  const fifo = join(directory.path, 'pid');
  execFileSync('mkfifo', [fifo]);
  const code = `import { tryHardwareDecoders } from ${JSON.stringify(import.meta.resolve('../../src/codec/hardware-decoder.ts'))};
    await tryHardwareDecoders(${JSON.stringify(fake)}, 0);`;
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', code], {
    stdio: 'ignore',
    env: { ...process.env, TMPDIR: directory.path },
  });
  const trial = Number(await readFile(fifo, 'latin1'));
  assert.ok(await isRunning(trial));
  parent.kill('SIGKILL');
  await once(parent, 'exit');
  while (await isRunning(trial)) await turn();
  assert.deepEqual((await readdir(directory.path)).sort(), ['ffmpeg', 'pid', 'state']);
});

test('what the filters get says who decoded', () => {
  const line = (format: string) =>
    `[graph 0 input from stream 0:0 @ 0x55] [verbose] w:640 h:360 pixfmt:${format} tb:1/90000 fr:25/1 sar:1/1`;
  assert.equal(saysSoftware(line('yuvj420p')), true);
  assert.equal(saysSoftware(line('nv12')), false);
  assert.equal(saysSoftware(line('p010le')), false);
  assert.equal(saysSoftware('[h264 @ 0x55] [verbose] Reinit context to 640x368, pix_fmt: yuv420p'), false);
});

test('a stream whose hardware decoder is refused goes on in software at once, and says why', async (t) => {
  await setState('works');
  const models = join(directory.path, 'models');
  await cp(join(FIXTURE_MODELS, 'blend'), join(models, 'blend'), { recursive: true });
  process.env.FFMPEG_PATH = fake;
  const restorer = new RestorerClient(
    { models, provider: 'cpu', threads: 1, decode: 'auto', log: { level: 'silent', format: 'json' } },
    silentLogger,
  );
  t.after(() => restorer.close());
  restorer.start();
  await once(restorer, 'ready');
  const start = (session: number) =>
    restorer.send({
      t: 'start',
      stream: 'cam',
      session,
      source: { url: 'lavfi:testsrc2=s=320x180:r=25', transport: 'auto', audio: false, stallTimeout: 20 },
      settings: { model: 'none', height: 180, strength: 1, smoothing: 0, latencyBudget: 60_000 },
      bitrate: 500_000,
    });
  const decoded = async (by: RegExp): Promise<StreamReport> => {
    for await (const [event] of on(restorer, 'event') as AsyncIterable<[RestorerEvent]>) {
      if (event.t === 'ended') assert.fail(event.error.message);
      if (event.t === 'report' && event.report.passthrough > 0 && by.test(event.report.input?.decoder ?? ''))
        return event.report;
    }
    throw new Error('no such report');
  };
  start(1);
  await decoded(/^cuda$/);
  await setState('refuses');
  start(2);
  await decoded(/^software \(Device creation failed/);
});
