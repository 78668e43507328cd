/**
 * Measures the restoring of files on this machine: `npm run bench:files [-- --seconds 30 --only NAME]`.
 * `priority`: what a file that is restored costs the live stream beside it, with and without it in turns in one run.
 * `memory`: the most memory the restorer ever held, by the size of the picture.
 */
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { FileProgress } from '../../src/contracts/file.ts';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import { Gateway } from '../../src/gateway.ts';
import { FileDesk } from '../../src/streams/file-desk.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { renderClip } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';
import { REAL_MODELS, SETTINGS, startRestoring } from '../support/restoring.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { describeHost } from './host.ts';
import { figures, reports, row } from './live-figures.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '30' }, only: { type: 'string' } },
});
const SECONDS = Number(values.seconds);
/** Turns without and with the file: what else the machine does hits both. */
const TURNS = 3;

const directory = await mkdtemp(join(tmpdir(), 'clearway-bench-'));
const lite = { ...SETTINGS, model: 'lite', smoothing: 0.5 };

const scenarios: Record<string, () => Promise<void>> = {
  async priority() {
    const clip = await renderClip(join(directory, 'clip.mp4'), { size: '1280x720', seconds: 60 });
    await using camera = await startRtspCamera({ width: 640, height: 360, rate: 25, bitrate: 600 });
    const config = join(directory, 'clearway.yml');
    const [http, rtmp] = [await freePort(), await freePort()];
    const cam = `{ source: "${camera.url}", model: lite, height: 360 }`;
    await writeFile(
      config,
      `log: { level: warn }\nhttp: { port: ${http} }\nrtmp: { port: ${rtmp} }\njobs: { enabled: false }\nstreams:\n  cam: ${cam}\n`,
    );
    const gateway = await Gateway.start({ config, logger: silentLogger, root: ROOT });
    gateway.streams.get('cam')!.subscribe({ rendition: 'restored', sink: { video() {} } });
    const desk = new FileDesk(gateway.restorer);

    /** Restores the clip while `during` goes on; how many frames a second of it were restored. */
    async function restoring(during: () => Promise<void>): Promise<number> {
      const abort = new AbortController();
      const progress: FileProgress[] = [];
      const output = join(directory, 'out.mp4');
      const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
      const onProgress = (now: FileProgress) => {
        progress.push(now);
        if (now.frames > 0) begin();
      };
      const result = desk.restore(
        { input: clip, output, settings: lite },
        { signal: abort.signal, onProgress },
      );
      await Promise.race([begun, result]);
      const [from, since] = [progress.at(-1)!.frames, performance.now()];
      await during();
      const fps = ((progress.at(-1)!.frames - from) / (performance.now() - since)) * 1000;
      abort.abort();
      await result.catch(() => {});
      return fps;
    }

    await reports(gateway, 5);
    const without: StreamReport[] = [];
    const beside: StreamReport[] = [];
    const speeds: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      without.push(...(await reports(gateway, SECONDS)));
      speeds.push(
        await restoring(async () => {
          beside.push(...(await reports(gateway, SECONDS)));
        }),
      );
    }
    gateway.streams.remove('cam');
    const alone = await restoring(() => new Promise((done) => setTimeout(done, SECONDS * 1000)));
    await gateway.close();
    const mean = speeds.reduce((sum, fps) => sum + fps, 0) / speeds.length;
    for (const [name, collected] of [
      ['no file', without],
      ['a 1280x720 file restored by lite beside it', beside],
    ] as const) {
      const { p50, p95, share, stages } = figures(collected);
      row(
        `640x360 25 fps RTSP, lite + smoothing, ${TURNS} x ${SECONDS} s, ${name}: arrival to access unit p50 / p95`,
        `${p50.toFixed(1)} / ${p95.toFixed(1)} ms`,
      );
      row('... frames restored', `${share.toFixed(2)} %`);
      row('... by stage, p50 ms', stages);
    }
    row('the file beside the stream', `${mean.toFixed(1)} fps`);
    row('the file alone', `${alone.toFixed(1)} fps`);
  },
  async memory() {
    for (const size of ['640x360', '1280x720', '1920x1080', '3840x2160', '7680x4320']) {
      const clip = await renderClip(join(directory, `${size}.mp4`), { size, seconds: 0.4 });
      await using restoring = await startRestoring(REAL_MODELS);
      const peak = () =>
        Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${restoring.client.pid}/status`, 'utf8'))?.[1]) /
        1024;
      const before = peak();
      const { frames } = await restoring.restore(clip, join(directory, `${size}-out.mp4`), lite);
      row(
        `lite + smoothing, ${frames} frames of ${size}: most resident memory of the restorer (before the file)`,
        `${peak().toFixed(0)} MiB (${before.toFixed(0)} MiB)`,
      );
    }
  },
};

process.stdout.write(`${new Date().toISOString().slice(0, 16)}Z, ${describeHost()}\n\n`);
row('what', 'measured');
row('---', '---');
try {
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (values.only === undefined || values.only.split(',').includes(name)) await scenario();
  }
} finally {
  await rm(directory, { recursive: true });
}
