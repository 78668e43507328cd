/**
 * Measures the live path end to end on this machine: `npm run bench:live [-- --seconds 60 --soak 10 --only NAME]`.
 * A real RTSP server, the real gateway with the shipped models, and its own per-frame figures; the restorer's
 * reference is ffmpeg doing the same decode, scale and encode alone in the same run.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import type { AccessUnit } from '../../src/contracts/media.ts';
import { Gateway } from '../../src/gateway.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { startGateway as startGatewayProcess } from '../support/gateway.ts';
import { freePort } from '../support/ports.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';
import { cpuSeconds, describeHost, residentMiB, slope } from './host.ts';
import { figures, reports, row } from './live-figures.ts';
import { many } from './many.ts';
import { rechoice } from './rechoice.ts';
import { WhepViewer } from './whep-viewer.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    soak: { type: 'string', default: '10' },
    only: { type: 'string' },
  },
});
const SECONDS = Number(values.seconds);
const SOAK_MINUTES = Number(values.soak);

const directory = await mkdtemp(join(tmpdir(), 'clearway-bench-'));

async function startGateway(camera: RtspCamera, settings: string): Promise<Gateway> {
  const path = join(directory, 'clearway.yml');
  const [http, rtmp] = [await freePort(), await freePort()];
  await writeFile(
    path,
    `log: { level: warn }\nhttp: { port: ${http} }\nrtmp: { port: ${rtmp} }\nstreams:\n  cam: { source: "${camera.url}", ${settings} }\n`,
  );
  const gateway = await Gateway.start({ config: path, logger: silentLogger, root: ROOT });
  await unit(gateway);
  return gateway;
}

/** The next access unit of the restored rendition. */
function unit(gateway: Gateway, wanted: (unit: AccessUnit) => boolean = () => true): Promise<AccessUnit> {
  return new Promise((done) => {
    const subscription = gateway.streams.get('cam')!.subscribe({
      rendition: 'restored',
      sink: {
        video: (unit) => {
          if (!wanted(unit)) return;
          queueMicrotask(() => subscription.close());
          done(unit);
        },
      },
    });
  });
}

/** ms a frame of ffmpeg decoding, scaling and encoding the same kind of picture, nothing else. */
async function reference(size: string): Promise<number> {
  const clip = join(directory, `reference-${size}.mkv`);
  const ff = (...args: string[]) => promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...args]);
  await ff(
    '-f',
    'lavfi',
    '-i',
    `testsrc2=s=${size}:r=25`,
    '-t',
    '12',
    '-preset',
    'veryfast',
    '-bf',
    '0',
    clip,
  );
  const began = performance.now();
  await ff(
    '-threads',
    '1',
    '-i',
    clip,
    '-preset',
    'superfast',
    '-tune',
    'zerolatency',
    '-threads',
    '1',
    '-f',
    'null',
    '-',
  );
  return (performance.now() - began) / 300;
}

const scenarios: Record<string, () => Promise<void>> = {
  async restored() {
    await using camera = await startRtspCamera({ width: 640, height: 360, rate: 25, bitrate: 600 });
    const gateway = await startGateway(camera, 'model: lite, height: 360');
    await reports(gateway, 5);
    const pid = gateway.restorer.pids[0]!;
    const cpu = cpuSeconds(pid);
    const began = performance.now();
    const { share, p50, p95, stages } = figures(await reports(gateway, SECONDS));
    const used = (cpuSeconds(pid) - cpu) / ((performance.now() - began) / 1000);
    await gateway.close();
    row(
      `640x360 25 fps RTSP, lite + smoothing, ${SECONDS} s: frames restored`,
      `${share.toFixed(2)} %`,
      '>= 99 %',
    );
    row('... arrival to access unit p50 / p95', `${p50.toFixed(1)} / ${p95.toFixed(1)} ms`, 'p95 <= 120 ms');
    row('... by stage, p50 ms', stages, '');
    row('... restorer CPU, in cores', used.toFixed(2), '');
    row(
      '... reference: ffmpeg decode + encode alone, one thread',
      `${(await reference('640x360')).toFixed(1)} ms a frame`,
      '',
    );
  },
  async bypass() {
    await using camera = await startRtspCamera({ width: 1280, height: 720, rate: 25, bitrate: 2000 });
    const gateway = await startGateway(camera, 'model: none, height: 720');
    await reports(gateway, 5);
    const { p50, p95, stages } = figures(await reports(gateway, Math.min(SECONDS, 30)));
    await gateway.close();
    row(
      '1280x720 25 fps RTSP, network bypassed: arrival to access unit p50 / p95',
      `${p50.toFixed(1)} / ${p95.toFixed(1)} ms`,
      'p95 <= 40 ms',
    );
    row('... by stage, p50 ms', stages, '');
    row(
      '... reference: ffmpeg decode + encode alone, one thread',
      `${(await reference('1280x720')).toFixed(1)} ms a frame`,
      '',
    );
  },
  async outage() {
    const camera = await startRtspCamera({ width: 640, height: 360, rate: 25 });
    const gateway = await startGateway(camera, 'model: lite, height: 360');
    await using viewer = await WhepViewer.open(`${gateway.url}/whep/cam`);
    await viewer.pictures(10);
    const lost = once(gateway.streams, 'status');
    await camera.kill();
    await lost;
    await using back = await startRtspCamera({ width: 640, height: 360, rate: 25, port: camera.port });
    const up = performance.now();
    await back.connected(1);
    const connected = performance.now();
    await viewer.pictures(1);
    row(
      'camera killed and back: picture at the viewer after the gateway connected',
      `${((performance.now() - connected) / 1000).toFixed(2)} s`,
      '<= 3 s',
    );
    row(
      '... after the camera was up (the gateway had to try again)',
      `${((performance.now() - up) / 1000).toFixed(2)} s`,
      '',
    );
    row('... same WebRTC connection', viewer.connected ? 'yes' : 'NO', 'yes');
    await gateway.close();
  },
  async crash() {
    await using camera = await startRtspCamera({ width: 640, height: 360, rate: 25 });
    const gateway = await startGateway(camera, 'model: lite, height: 360');
    await using viewer = await WhepViewer.open(`${gateway.url}/whep/cam`);
    await viewer.pictures(10);
    const began = performance.now();
    const down = once(gateway.restorer, 'down');
    process.kill(gateway.restorer.pids[0]!, 'SIGKILL');
    await down;
    await viewer.pictures(1);
    row(
      'kill -9 of the restorer: picture back at the viewer',
      `${((performance.now() - began) / 1000).toFixed(2)} s`,
      '<= 3 s',
    );
    row('... same WebRTC connection', viewer.connected ? 'yes' : 'NO', 'yes');
    await gateway.close();
  },
  many: () => many(directory, SECONDS),
  rechoice,
  async soak() {
    await using camera = await startRtspCamera({ width: 640, height: 360, rate: 25, bitrate: 600 });
    // A process of its own: this one holds the players.
    await using gateway = await startGatewayProcess({
      streams: { cam: { source: camera.url, model: 'lite', height: 360 } },
    });
    await gateway.until('cam', ({ state }) => state === 'live');
    const pids = { gateway: gateway.pid, restorer: await gateway.restorer() };
    const points = { gateway: [] as [number, number][], restorer: [] as [number, number][] };
    const began = performance.now();
    let visits = 0;
    for (;;) {
      const minutes = (performance.now() - began) / 60_000;
      if (minutes >= SOAK_MINUTES) break;
      // Somebody comes, looks, takes a still and leaves.
      await using viewer = await WhepViewer.open(
        `${gateway.url}/whep/cam?rendition=${visits % 2 ? 'compare' : 'restored'}`,
      );
      await viewer.pictures(50);
      await (await fetch(`${gateway.url}/snapshot/cam.jpg`)).arrayBuffer();
      const playlist = await (await fetch(`${gateway.url}/hls/cam/index.m3u8`)).text();
      const media = playlist.split('\n').find((line) => line.startsWith('restored/'));
      if (media) await (await fetch(`${gateway.url}/hls/cam/${media}`)).text();
      visits++;
      // Pools, caches and the collector's heap fill up in the first third.
      if (minutes > SOAK_MINUTES / 3) {
        for (const part of ['gateway', 'restorer'] as const)
          points[part].push([minutes, residentMiB(pids[part])]);
      }
    }
    for (const part of ['gateway', 'restorer'] as const) {
      const { slope: perMinute, error } = slope(points[part]);
      const sizes = points[part].map(([, mib]) => mib);
      row(
        `${SOAK_MINUTES} min, ${visits} viewers coming and going: ${part} RSS after the first third`,
        `${sizes[0]?.toFixed(0)} -> ${sizes.at(-1)?.toFixed(0)} MiB, slope ${perMinute.toFixed(2)} ± ${error.toFixed(2)} MiB/min`,
        'slope within noise',
      );
    }
  },
};

process.stdout.write(`${new Date().toISOString().slice(0, 16)}Z, ${describeHost()}\n\n`);
row('what', 'measured', 'goal');
row('---', '---', '---');
try {
  for (const [name, scenario] of Object.entries(scenarios)) {
    if (values.only === undefined || values.only.split(',').includes(name)) await scenario();
  }
} finally {
  await rm(directory, { recursive: true });
}
