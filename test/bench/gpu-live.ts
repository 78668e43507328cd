import { type ChildProcess, execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { StreamReport } from '../../src/contracts/restorer.ts';
import type { Stage } from '../../src/contracts/stream.ts';
import { Gateway } from '../../src/gateway.ts';
import type { Provider } from '../../src/restore/device/device.ts';
import { createLogger } from '../../src/telemetry/log.ts';
import { freePort } from '../support/ports.ts';
import type { PartOptions } from './gpu-streams.ts';
import { quantile } from './host.ts';

interface LiveOptions extends PartOptions {
  /** Numbers of streams. */
  streams: number[];
  model: string;
  decode: string;
}

const ROOT = resolve(import.meta.dirname, '../..');
const WARM_UP = 6;
const MEASURED = 12;
const STAGES: Stage[] = ['decode', 'queue', 'restore', 'smooth', 'encode'];

/** Ten seconds of 1080p H.264 at 25 fps, 4 Mbit/s, a keyframe every second. */
async function makeClip(path: string): Promise<void> {
  const source = [
    '-f',
    'lavfi',
    '-i',
    'testsrc2=s=1920x1080:r=25',
    '-vf',
    'noise=alls=10:allf=t',
    '-t',
    '10',
  ];
  const coded = [
    '-c:v',
    'libx264',
    '-preset',
    'veryfast',
    '-bf',
    '0',
    '-g',
    '25',
    '-b:v',
    '4M',
    '-pix_fmt',
    'yuv420p',
  ];
  await promisify(execFile)('ffmpeg', ['-nostdin', '-v', 'error', '-y', ...source, ...coded, path]);
}

function push(clip: string, url: string): ChildProcess {
  const args = [
    '-nostdin',
    '-v',
    'error',
    '-re',
    '-stream_loop',
    '-1',
    '-i',
    clip,
    '-c',
    'copy',
    '-f',
    'flv',
    url,
  ];
  return spawn('ffmpeg', args, { stdio: 'ignore' });
}

/** Ticks all processors were busy, and all there were (Linux). */
function processorTicks(): { busy: number; all: number } {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n')[0]!.trim().split(/\s+/);
  const ticks = fields.slice(0, 8).map(Number);
  const all = ticks.reduce((a, b) => a + b);
  return { busy: all - ticks[3]! - ticks[4]!, all };
}

function gpuReading(): string {
  try {
    const query = ['--query-gpu=utilization.gpu,memory.used,utilization.decoder', '--format=csv,noheader'];
    return execFileSync('nvidia-smi', query, { encoding: 'utf8' }).trim();
  } catch {
    return 'none';
  }
}

/** CPU seconds used so far by kind of process: the gateway with its pushers is this one. */
function usageByKind(): Record<string, number> {
  const lines = execFileSync('ps', ['-eo', 'times=,args='], { encoding: 'utf8' }).split('\n');
  const usage: Record<string, number> = { decoders: 0, pushers: 0, restorer: 0, gateway: 0 };
  for (const line of lines) {
    const seconds = Number.parseInt(line.trim(), 10);
    if (!seconds) continue;
    if (line.includes('-stream_loop')) usage.pushers! += seconds;
    else if (line.includes('ffmpeg')) usage.decoders! += seconds;
    else if (line.includes('restorer-process')) usage.restorer! += seconds;
    else if (line.includes('bench/gpu.ts')) usage.gateway! += seconds;
  }
  return usage;
}

async function reportsOf(gateway: Gateway, seconds: number): Promise<StreamReport[]> {
  const collected: StreamReport[] = [];
  const listen = (event: { t: string; report?: StreamReport }) => {
    if (event.t === 'report') collected.push(event.report!);
  };
  gateway.restorer.on('event', listen);
  await sleep(seconds * 1000);
  gateway.restorer.off('event', listen);
  return collected;
}

async function attempt(
  provider: Provider,
  count: number,
  clip: string,
  last: boolean,
  { models, model, decode, row }: LiveOptions,
): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'clearway-live-'));
  const [http, rtmp] = [await freePort(), await freePort()];
  const names = Array.from({ length: count }, (_, at) => `cam${at}`);
  const path = join(directory, 'clearway.yml');
  await writeFile(
    path,
    [
      `log: { level: warn }`,
      `http: { port: ${http} }`,
      `rtmp: { port: ${rtmp} }`,
      `restorer: { provider: ${provider}, models: ${resolve(models)}, devices: [0], decode: ${decode} }`,
      `defaults: { model: ${model}, height: 1080 }`,
      'streams:',
      ...names.map((name) => `  ${name}: { source: push, key: benchbench${name} }`),
    ].join('\n'),
  );
  const logger = createLogger({ level: 'warn', format: 'json', base: {} });
  const gateway = await Gateway.start({ config: path, logger, root: ROOT });
  const pushers: ChildProcess[] = [];
  try {
    if (!gateway.restorer.ready) await once(gateway.restorer, 'ready');
    const lives = names.map((name) => {
      const { promise, resolve: live } = Promise.withResolvers<void>();
      gateway.streams.get(name)!.subscribe({ rendition: 'restored', sink: { video: () => live() } });
      return promise;
    });
    for (const name of names)
      pushers.push(push(clip, `rtmp://127.0.0.1:${rtmp}/live/${name}?key=benchbench${name}`));
    await Promise.race([Promise.all(lives), sleep(40_000)]);
    await sleep(WARM_UP * 1000);
    const [before, usage] = [processorTicks(), usageByKind()];
    const readings: string[] = [];
    const gauge = setInterval(() => readings.push(gpuReading()), 1000);
    const reports = await reportsOf(gateway, MEASURED);
    clearInterval(gauge);
    const [after, used] = [processorTicks(), usageByKind()];
    const cores = ((after.busy - before.busy) / (after.all - before.all)) * availableParallelism();
    const kinds = Object.entries(used).map(
      ([kind, seconds]) => `${kind} ${((seconds - usage[kind]!) / MEASURED).toFixed(1)}`,
    );
    const restored = reports.reduce((sum, report) => sum + report.restored, 0);
    const expected = count * 25 * MEASURED;
    const totals = reports.flatMap(({ total }) => total);
    const stages = STAGES.map((stage) => {
      const samples = reports.flatMap(({ stages: of }) => of[stage]);
      return `${stage} ${quantile(samples, 0.5).toFixed(1)}/${quantile(samples, 0.95).toFixed(1)}`;
    });
    const share = restored / expected;
    const p95 = quantile(totals, 0.95);
    row([
      ...[
        count,
        `${(100 * share).toFixed(1)} %`,
        quantile(totals, 0.5).toFixed(0),
        p95.toFixed(0),
        stages.join(', '),
      ],
      `${cores.toFixed(1)} of ${availableParallelism()} (${kinds.join(', ')})`,
      readings.at(Math.floor(readings.length / 2)) ?? '',
    ]);
    if (last) await printHistogram(http);
  } finally {
    for (const pusher of pushers) pusher.kill('SIGKILL');
    await gateway.close();
    await rm(directory, { recursive: true });
  }
}

/** The stage histogram as Prometheus sees it. */
async function printHistogram(http: number): Promise<void> {
  const text = await (await fetch(`http://127.0.0.1:${http}/metrics`)).text();
  const lines = text
    .split('\n')
    .filter(
      (line) =>
        /^clearway_stage_duration_seconds.*cam0.*stage="(restore|smooth)"/.test(line) ||
        /^clearway_accelerator/.test(line),
    );
  console.log(`\n\`\`\`\n${lines.join('\n')}\n\`\`\`\n`);
}

/** Real RTMP pushes of 1080p at 25 fps through the whole gateway: decode, restore, smooth, encode. */
export async function livePart(provider: Provider, options: LiveOptions): Promise<void> {
  console.log(
    `\n## Live: 1080p, 25 fps over RTMP, ${options.model} with smoothing on ${provider}, through decode (${options.decode}) and x264\n`,
  );
  const directory = await mkdtemp(join(tmpdir(), 'clearway-clip-'));
  try {
    const clip = join(directory, 'clip.flv');
    await makeClip(clip);
    options.table(
      'streams',
      'restored',
      'p50 ms',
      'p95 ms',
      'stages, p50/p95 ms',
      'cores busy',
      'GPU: busy, memory, decoder',
    );
    for (const count of options.streams) {
      await attempt(provider, count, clip, count === options.streams.at(-1), options);
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}
