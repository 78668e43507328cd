import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { basename, extname, join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ConfigInput } from '../../src/config/schema.ts';
import { hashToken } from '../../src/http/secrets.ts';
import { launchBrowser } from '../support/browser.ts';
import { renderClip, temporaryDirectory } from '../support/ffmpeg.ts';
import { ffprobe } from '../support/ffprobe.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { runCollection } from './postman.ts';

const EXAMPLES = fileURLToPath(new URL('../../config/examples/', import.meta.url));
const TOKEN = 'an-api-token';
/** The distribution's own: its packages have the modules. */
const PYTHON = '/usr/bin/python3';

describe('the clients in config/examples', { timeout: 180_000 }, () => {
  const stack = new AsyncDisposableStack();
  let gateway: RunningGateway;
  let directory: string;
  let clip: string;
  let output: string;
  let origin: string;

  before(async () => {
    directory = stack.use(await temporaryDirectory()).path;
    clip = await renderClip(join(directory, 'clip.mp4'), { size: '160x120', seconds: 1, audio: 'aac' });
    output = join(directory, 'restored.mp4');
    origin = await serveExamples();
    const token = hashToken(TOKEN);
    const config: ConfigInput = {
      http: { corsOrigins: [origin] },
      auth: { tokens: [{ name: 'caller', token, role: 'read', streams: [], files: true }] },
      rtmp: { enabled: false },
      jobs: { minFree: 0 },
    };
    gateway = stack.use(await startGateway(config, directory, TOKEN));
  });
  after(() => stack.disposeAsync());

  /** The examples on another origin than the gateway's. */
  async function serveExamples(): Promise<string> {
    const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript' };
    const server = createServer((request, response) => {
      readFile(join(EXAMPLES, basename(request.url!))).then(
        (file) => response.setHeader('content-type', types[extname(request.url!)]!).end(file),
        () => response.writeHead(404).end(),
      );
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    stack.defer(() => void server.close());
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  function run(command: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> {
    const env = { ...process.env, CLEARWAY_URL: gateway.url, CLEARWAY_TOKEN: TOKEN };
    return promisify(execFile)(command, args, { env });
  }

  async function isRestored(file: string): Promise<void> {
    const { streams } = await ffprobe(file);
    assert.deepEqual(
      streams.map(({ codec_name, nb_read_packets }) => [codec_name, Number(nb_read_packets) > 20]),
      [
        ['h264', true],
        ['aac', true],
      ],
    );
  }

  it('curl', async () => {
    await run(join(EXAMPLES, 'restore.sh'), clip, output, '-F', 'denoise_strength=0.7');
    await isRestored(output);
  });

  it('Python, requests: a resumable upload', async () => {
    await run(PYTHON, join(EXAMPLES, 'restore.py'), clip, output, '--denoise-strength', '0.5');
    await isRestored(output);
  });

  it('Python, asyncio: several files', async () => {
    const second = join(directory, 'second.mp4');
    await copyFile(clip, second);
    const { stdout } = await run(PYTHON, join(EXAMPLES, 'restore_async.py'), clip, second);
    assert.match(stdout, /second-restored\.mp4/);
    await isRestored(join(directory, 'clip-restored.mp4'));
    await isRestored(join(directory, 'second-restored.mp4'));
  });

  it('TypeScript', async () => {
    await run(process.execPath, join(EXAMPLES, 'restore.ts'), clip, output);
    await isRestored(output);
  });

  it('say what is wrong, with the code', async () => {
    const wrong = join(directory, 'wrong.mp4');
    await writeFile(wrong, 'no video');
    for (const [command, ...args] of [
      [join(EXAMPLES, 'restore.sh'), wrong, output],
      [PYTHON, join(EXAMPLES, 'restore.py'), wrong, output],
      [PYTHON, join(EXAMPLES, 'restore_async.py'), wrong],
      [process.execPath, join(EXAMPLES, 'restore.ts'), wrong, output],
    ] as const) {
      await assert.rejects(run(command, ...args), /CLEARWAY_SOURCE_NOT_VIDEO/, args[0]);
    }
  });

  it('a page in a browser, on another origin', async () => {
    await using browser = await launchBrowser();
    const page = await browser.context.newPage();
    await page.goto(`${origin}/restore.html`);
    await page.fill('[name=gateway]', gateway.url);
    await page.fill('[name=token]', TOKEN);
    await page.setInputFiles('[name=file]', clip);
    await page.click('button');
    await page.waitForFunction(() => /^done$|CLEARWAY/.test(document.querySelector('output')!.value));
    assert.equal(await page.textContent('output'), 'done');
    const width = await page.waitForFunction(() => document.querySelector('video')!.videoWidth);
    assert.equal(await width.jsonValue(), 160);
  });

  it('the Postman collection', async () => {
    const statuses = await runCollection(join(EXAMPLES, 'clearway.postman_collection.json'), {
      gateway: gateway.url,
      token: TOKEN,
      file: clip,
    });
    assert.deepEqual(statuses, {
      'Restore a file and wait': 200,
      'All jobs and the limits': 200,
      'The job': 200,
      'Its video': 200,
      'The first frame as it was': 200,
      'The first frame, restored': 200,
      'Remove the job': 204,
      'Restore a file of another host': 400,
    });
  });
});
