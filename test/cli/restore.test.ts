import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { clock, progressText } from '../../src/cli/progress-line.ts';
import { restore } from '../../src/cli/restore.ts';
import { parseRestoreOptions } from '../../src/cli/restore-options.ts';
import type { ClearwayError } from '../../src/contracts/errors.ts';
import { renderClip, temporaryDirectory } from '../support/ffmpeg.ts';
import { ffprobe } from '../support/ffprobe.ts';
import { descendants } from '../support/processes.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

let directory: Awaited<ReturnType<typeof temporaryDirectory>>;
let cwd: string;
before(async () => {
  directory = await temporaryDirectory();
  cwd = directory.path;
  await writeFile(
    join(cwd, 'clearway.yml'),
    `restorer: { provider: cpu, models: ${JSON.stringify(FIXTURE_MODELS)} }\n`,
  );
  await renderClip(join(cwd, 'in.mp4'), { seconds: 1, audio: 'aac' });
  await renderClip(join(cwd, 'long.mp4'), { seconds: 60, size: '640x360' });
});
after(() => directory[Symbol.asyncDispose]());

const COMMON = ['--config', 'clearway.yml', '--model', 'brighten'];

function start(command: string, args: string[]) {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const pipe of [child.stdout, child.stderr]) {
    pipe.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code ?? signal, output }));
  return { child, ended, output: () => output };
}

function clearway(...args: string[]) {
  return start(process.execPath, [MAIN, 'restore', ...args]);
}

/** Resolves when the result is being written. */
async function writing(part: string): Promise<void> {
  while (!(await readdir(cwd)).includes(part)) await new Promise((resolve) => setTimeout(resolve, 20));
}

test('--help tells every option', async () => {
  const { code, output } = await clearway('--help').ended;
  assert.equal(code, 0);
  for (const option of [
    'output',
    'model',
    'strength',
    'smoothing',
    'target',
    'codec',
    'crf',
    'force',
    'quiet',
  ])
    assert.match(output, new RegExp(`--${option}\\b`));
});

const WRONG: [args: string[], says: RegExp][] = [
  [[], /which file/],
  [['in.mp4', 'out.mp4'], /unexpected argument out\.mp4/],
  [['in.mp4', '-o', 'out.exe'], /must end in \.mp4/],
  [['in.mp4', '--strength', '2'], /--strength 2: give a number from 0 to 1/],
  [['in.mp4', '--crf', ''], /--crf : give a number from 0 to 51/],
  [['in.mp4', '--codec', 'vp9'], /choose h264, hevc, av1/],
  [['in.mp4', '--target', '999p'], /choose source, 480p/],
  [['in.mp4', '--frobnicate'], /frobnicate/],
];

test('wrong usage is told before anything is done', async () => {
  for (const [args, says] of WRONG) {
    assert.throws(
      () => parseRestoreOptions(args),
      (error: ClearwayError) => error.code === 'CLEARWAY_BAD_REQUEST' && says.test(error.message),
      args.join(' '),
    );
  }
  const path = (name: string) => join(cwd, name);
  await symlink('in.mp4', path('same.mp4'));
  for (const [output, force, message] of [
    [path('in.mp4'), true, /is the file to restore itself/],
    [path('same.mp4'), true, /is the file to restore itself/],
    [path('long.mp4'), false, /long\.mp4 is there already: --force overwrites it/],
    [path('nowhere/out.mp4'), false, /no directory .*nowhere/],
  ] as const) {
    const args = [path('in.mp4'), '-o', output, ...(force ? ['--force'] : [])];
    await assert.rejects(restore(args, cwd), { code: 'CLEARWAY_BAD_REQUEST', message });
  }
  const { code, output } = await clearway('in.mp4', '-o', 'out.webm', '--codec', 'h264', ...COMMON).ended;
  assert.match(output, /WebM does not hold h264/);
  assert.equal(code, 2);
});

test('a file is restored without a word when there is no terminal, and its codes say when it is not', async () => {
  const options = [
    '-o',
    'out.mkv',
    '--codec',
    'hevc',
    '--crf',
    '30',
    '--strength',
    '0.5',
    '--target',
    '480p',
  ];
  assert.deepEqual(await clearway('in.mp4', ...options, ...COMMON).ended, { code: 0, output: '' });
  const { streams } = await ffprobe(join(cwd, 'out.mkv'));
  assert.deepEqual(
    streams.map(({ codec_name, height }) => [codec_name, height]),
    [
      ['hevc', 480],
      ['aac', undefined],
    ],
  );

  await writeFile(join(cwd, 'text.mp4'), 'This is no video.');
  const failed = await clearway('text.mp4', ...COMMON).ended;
  assert.equal(failed.code, 1);
  assert.match(failed.output, /^CLEARWAY_SOURCE_NOT_VIDEO: /);
  const unknown = await clearway('in.mp4', '--config', 'clearway.yml', '--model', 'huge').ended;
  assert.equal(unknown.code, 1);
  assert.match(unknown.output, /^CLEARWAY_MODEL_NOT_FOUND: .*huge/);
});

test('names are meant from where the user stands, also through npm', () => {
  const request = (script: string) =>
    parseRestoreOptions(['a/clip.avi'], { INIT_CWD: '/videos', npm_lifecycle_event: script })!.request;
  const { input, output } = request('clearway');
  assert.deepEqual([input, output], ['/videos/a/clip.avi', '/videos/clip.restored.mp4']);
  assert.equal(request('test').input, join(process.cwd(), 'a/clip.avi'));
});

test('on a terminal it shows how far it is', async () => {
  const command = [process.execPath, MAIN, 'restore', 'in.mp4', '-o', 'shown.mp4', ...COMMON]
    .map((word) => `'${word}'`)
    .join(' ');
  const { code, output } = await start('script', ['-qec', command, '/dev/null']).ended;
  assert.equal(code, 0);
  assert.ok(output.includes('\r\x1b[K25 frames restored, finishing the file'), output);
  assert.match(output, /shown\.mp4: 25 frames of 320x240 restored by brighten on cpu in 0:\d\d/);
});

test('Ctrl-C stops it, with the code of shells, and leaves nothing behind', async () => {
  const { child, ended } = clearway('long.mp4', '-o', 'stopped.mp4', ...COMMON);
  await writing('stopped.mp4.clearway-part');
  const below = await descendants(child.pid!);
  assert.ok(below.some(({ command }) => command.some((word) => word.includes('ffmpeg'))));
  child.kill('SIGINT');
  assert.deepEqual(await ended, { code: 130, output: '' });
  assert.deepEqual(
    (await readdir(cwd)).filter((name) => name.startsWith('stopped')),
    [],
  );
});

test('killed for good, its processes go and tidy up', async () => {
  const { child, ended } = clearway('long.mp4', '-o', 'killed.mp4', ...COMMON);
  await writing('killed.mp4.clearway-part');
  child.kill('SIGKILL');
  await ended;
  while ((await readdir(cwd)).some((name) => name.startsWith('killed')))
    await new Promise((resolve) => setTimeout(resolve, 20));
});

test('a disk that fills up is told, and what was written is gone', async () => {
  // A limit on the size of files (bash: in KiB) ends a write as a full disk does.
  const script = `ulimit -f 200; exec "$0" "$@"`;
  const args = ['-c', script, process.execPath, MAIN, 'restore', 'long.mp4', '-o', 'full.mp4', ...COMMON];
  const { code, output } = await start('bash', [...args, '--crf', '1']).ended;
  assert.match(output, /^CLEARWAY_DISK_FULL: The disk is full: make room/);
  assert.equal(code, 1);
  assert.deepEqual(
    (await readdir(cwd)).filter((name) => name.startsWith('full')),
    [],
  );
});

test('progress in words', () => {
  const restoring = { stage: 'restoring', frames: 375, total: 1500, fps: 18.34, left: 61.3 } as const;
  assert.equal(
    progressText(restoring),
    `[${'#'.repeat(6)}${'-'.repeat(18)}]  25 %  375/1500 frames  18.3 fps  1:01 left`,
  );
  assert.equal(progressText({ ...restoring, total: undefined, left: undefined }), '375 frames  18.3 fps');
  assert.equal(clock(3661), '1:01:01');
});
