/**
 * What telemetry costs on this machine: `node test/bench/telemetry.ts [--seconds 240]`. A gateway shows a 720p camera
 * with and without telemetry in turns; then a scrape of 100 streams' series over HTTP.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { parseArgs, promisify } from 'node:util';
import { decoderArguments } from '../../src/codec/decoder-arguments.ts';
import { ffmpegPath } from '../../src/codec/ffmpeg.ts';
import { configSchema } from '../../src/config/schema.ts';
import { DROP_CAUSES, OUTCOMES, STAGES, STREAM_STATES } from '../../src/contracts/stream.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { FreezeDetector } from '../../src/restore/freeze-detector.ts';
import { compareQuality, sampleBlocks } from '../../src/restore/picture-quality.ts';
import { DELIVERY_STAGES } from '../../src/telemetry/deliveries.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FakeControl } from '../support/fake-control.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { startGateway } from '../support/gateway.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { cpuSecondsFine, describeHost, medianOf, quantile } from './host.ts';
import { type Part, shareOf } from './profile-share.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '240' } } });
const SECONDS = Number(values.seconds);
/** Seconds before a comparison. */
const WARM_UP = 15;
/** Seconds with telemetry, and without, at a time. */
const WINDOW = 2;
/** Seconds between two scrapes. */
const SCRAPE_EVERY = 15;
const PIPES = ['pipe', 'pipe', 'pipe', 'pipe'] as const;
const STREAMS = 100;
const SCRAPES = 40;

function row(...cells: (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/**
 * One gateway whose telemetry is switched off and on again, window by window: the difference of two neighbours is not
 * that of two processes, nor that of two minutes. Their order changes from pair to pair.
 */
async function withAndWithout(): Promise<void> {
  await using camera = await startRtspCamera({ width: 1280, height: 720, rate: 25, bitrate: 2000 });
  process.env.NODE_OPTIONS = `--import=${new URL('without-telemetry.ts', import.meta.url)}`;
  await using gateway = await startGateway({
    streams: { cam: { source: camera.url, model: 'none', height: 720 } },
  });
  delete process.env.NODE_OPTIONS;
  await gateway.until('cam', ({ state }) => state === 'live');
  const pids = [gateway.pid, ...(await gateway.children()).map(({ pid }) => pid)];
  const nodes = [gateway.pid, await gateway.restorer()];
  let on = true;
  let onFor = 0;
  const window = async (wanted: boolean): Promise<number> => {
    if (wanted !== on) for (const pid of nodes) process.kill(pid, 'SIGUSR2');
    on = wanted;
    if (on) {
      // A scrape costs what it costs, shared out over the time it serves.
      onFor += WINDOW;
      if (onFor % SCRAPE_EVERY < WINDOW) await gateway.api('GET', '/metrics');
    }
    const before = pids.map((pid) => cpuSecondsFine(pid));
    await pause(WINDOW);
    return pids.reduce((sum, pid, index) => sum + cpuSecondsFine(pid) - before[index]!, 0) / WINDOW;
  };
  // Code that is still compiled is not what is measured.
  await pause(WARM_UP);
  const pairs: { bare: number; full: number }[] = [];
  while (pairs.length < SECONDS / WINDOW / 2) {
    const first = await window(pairs.length % 2 === 0);
    const second = await window(pairs.length % 2 === 1);
    pairs.push(pairs.length % 2 === 0 ? { full: first, bare: second } : { full: second, bare: first });
  }
  const bare = quantile(
    pairs.map((pair) => pair.bare),
    0.5,
  );
  const more = medianOf(pairs.map((pair) => (100 * (pair.full - pair.bare)) / bare));
  row(
    `1280x720 25 fps, network bypassed, ${SECONDS} s: CPU of the stream without telemetry`,
    `${(1000 * bare).toFixed(0)} ms a second`,
    '',
  );
  row(
    `... more with it, scraped every ${SCRAPE_EVERY} s: median of ${pairs.length} pairs of windows of ${WINDOW} s, 95 % confidence`,
    `${more.median.toFixed(1)} %, ${more.from.toFixed(1)} to ${more.to.toFixed(1)}`,
    '< 2 %',
  );
  const capture = await captureTimes(camera.url);
  row(
    '... more for the camera’s capture times: a second output of ffmpeg, beside one without, both at once',
    `${((capture / bare) * 100).toFixed(2)} %`,
    '',
  );
}

/** All of telemetry that runs in JavaScript. */
const TELEMETRY: Part[] = [
  { url: /\/src\/telemetry\/(?!log)/ },
  { url: /\/prom-client\// },
  { url: /\/src\/restore\/(picture-probe|picture-quality|freeze-detector)\.ts$/ },
  { url: /\/src\/codec\/capture-clock\.ts$/ },
  { url: /\/src\/streams\/registry\.ts$/, name: /^(observe|count)$/ },
];
/** The report of every second, which states and page are made of as well. */
const REPORT: Part[] = [
  { url: /\/src\/restore\/stream-report\.ts$/ },
  { url: /\/src\/restore\/pipeline\.ts$/, name: /^tick$/ },
];

/** What V8's profiler finds of telemetry in a stream's CPU time: steady where the difference above is not. */
async function profiled(): Promise<void> {
  await using camera = await startRtspCamera({ width: 1280, height: 720, rate: 25, bitrate: 2000 });
  await using directory = await temporaryDirectory();
  process.env.NODE_OPTIONS = `--cpu-prof --cpu-prof-dir=${directory.path}`;
  const began = performance.now();
  await using gateway = await startGateway({
    streams: { cam: { source: camera.url, model: 'none', height: 720 } },
  });
  delete process.env.NODE_OPTIONS;
  await gateway.until('cam', ({ state }) => state === 'live');
  const all = [gateway.pid, ...(await gateway.children()).map(({ pid }) => pid)];
  const nodes = [gateway.pid, await gateway.restorer()];
  await pause(WARM_UP);
  const skip = (performance.now() - began) / 1000;
  const before = {
    all: all.map((pid) => cpuSecondsFine(pid)),
    main: nodes.map((pid) => cpuSecondsFine(pid, pid)),
  };
  for (let second = 0; second < SECONDS; second += SCRAPE_EVERY) {
    await gateway.api('GET', '/metrics');
    await pause(Math.min(SCRAPE_EVERY, SECONDS - second));
  }
  const whole = all.reduce((sum, pid, index) => sum + cpuSecondsFine(pid) - before.all[index]!, 0);
  const threads = nodes.map((pid, index) => cpuSecondsFine(pid, pid) - before.main[index]!);
  await gateway.stop();
  const found = (parts: Part[]) => {
    const percents = nodes.map((pid, index) => {
      const { share, error } = shareOf(directory.path, pid, parts, skip);
      const scale = (100 * threads[index]!) / whole;
      return { percent: share * scale, error: 1.96 * error * scale };
    });
    const total = percents.reduce((sum, { percent }) => sum + percent, 0);
    const within = Math.hypot(...percents.map(({ error }) => error));
    return `${percents.map(({ percent }) => percent.toFixed(2)).join(' + ')} = ${total.toFixed(2)} ± ${within.toFixed(2)} %`;
  };
  row(
    "... of its CPU in telemetry's functions, by V8's profiler: gateway + restorer, 95 % confidence",
    found(TELEMETRY),
    '< 2 %',
  );
  row('... in the report of every second, which states and page are made of as well', found(REPORT), '');
}

/** CPU seconds a second that a decoder needs more because it asks when pictures were taken. */
async function captureTimes(url: string): Promise<number> {
  const full = decoderArguments({ url, transport: 'tcp', audio: false, stallTimeout: 5 }, 720);
  const from = full.lastIndexOf('-map');
  const decoders = [full.slice(0, from), full].map((args) => {
    const child = spawn(ffmpegPath(), args, { stdio: ['ignore', 'ignore', 'ignore', ...PIPES] });
    for (const stream of child.stdio.slice(3)) (stream as Readable).resume();
    return child;
  });
  await pause(WARM_UP);
  const before = decoders.map(({ pid }) => cpuSecondsFine(pid!));
  await pause(SECONDS / 4);
  const [less, more] = decoders.map(({ pid }, index) => cpuSecondsFine(pid!) - before[index]!);
  for (const child of decoders) child.kill('SIGKILL');
  return (more! - less!) / (SECONDS / 4);
}

function pause(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

/** The parts that look at pixels, by themselves. */
function pixels(): void {
  const luma = new Uint8Array(1280 * 720).map((_, index) => (index * 7919) % 251);
  const detector = new FreezeDetector();
  const cost = (rounds: number, work: (round: number) => void) => {
    for (let round = 0; round < rounds / 4; round++) work(round);
    const began = performance.now();
    for (let round = 0; round < rounds; round++) work(round);
    return (performance.now() - began) / rounds;
  };
  const freeze = cost(2000, (round) => detector.next(luma, 1280, 720, round));
  const quality = cost(100, () => {
    const pair = () => [sampleBlocks(luma, 1280, 720)!, sampleBlocks(luma, 1280, 720)!] as const;
    compareQuality(pair(), pair());
  });
  row('freeze detection of a 720p frame', `${(freeze * 1000).toFixed(0)} µs`, '');
  row('quality before and after, once in 30 s', `${quality.toFixed(2)} ms`, '');
  const share = (freeze * 150 + quality) / 30_000;
  row('... both, of the frames’ time', `${(100 * share).toFixed(3)} %`, '<= 1 %');
}

/** A gateway's metrics with every series that so many streams can have. */
function fill(metrics: Metrics): void {
  metrics.collectProcess();
  for (let index = 0; index < STREAMS; index++) {
    const stream = `camera-${index}`;
    metrics.declare(stream);
    for (const stage of ['capture', ...STAGES, ...DELIVERY_STAGES])
      metrics.stageDuration.observe({ stream, stage }, 0.01);
    metrics.frameLatency.observe({ stream }, 0.05);
    for (const protocol of ['webrtc', 'hls'])
      metrics.viewerLatency.observe({ stream, protocol, basis: 'capture' }, 0.2);
    for (const outcome of OUTCOMES) metrics.frames.inc({ stream, outcome }, index);
    for (const cause of DROP_CAUSES) metrics.drops.inc({ stream, cause }, index);
    for (const state of STREAM_STATES) metrics.streamState.set({ stream, state }, 0);
    for (const rendition of ['restored', 'source', 'compare']) {
      metrics.publishedBitrate.set({ stream, rendition }, 2e6);
    }
    const quality = { noise: 1, blockiness: 1, flicker: 1 };
    metrics.observePicture(stream, { unchanged: 0, quality: { before: quality, after: quality } });
    for (const gauge of [
      metrics.streamWanted,
      metrics.restorationWanted,
      metrics.ladderStep,
      metrics.sourceBitrate,
    ])
      gauge.set({ stream }, 1);
  }
}

async function scrape(): Promise<void> {
  const metrics = new Metrics();
  fill(metrics);
  const server = await createHttpServer({
    config: configSchema.parse({ http: { port: 0 } }),
    control: new FakeControl(),
    logger: silentLogger,
    metrics,
    plugins: [],
  });
  const { url } = await server.listen();
  const text = await metrics.registry.metrics();
  const cpu = process.cpuUsage();
  // The client is a process of its own, as Prometheus is.
  const client = `const times = [];
    for (let round = 0; round < ${SCRAPES}; round++) {
      const began = performance.now();
      await (await fetch('${url}/metrics')).text();
      times.push(performance.now() - began);
    }
    console.log(JSON.stringify(times));`;
  const args = ['--input-type=module', '-e', client];
  const times: number[] = JSON.parse((await promisify(execFile)(process.execPath, args)).stdout);
  const { user, system } = process.cpuUsage(cpu);
  await server.close();
  const series = text.split('\n').filter((line) => line && !line.startsWith('#')).length;
  row(
    `scrape of ${STREAMS} streams, ${series} series, ${Math.round(text.length / 1024)} KiB: fastest / p50 / p95 of ${SCRAPES}`,
    `${Math.min(...times).toFixed(0)} / ${quantile(times, 0.5).toFixed(0)} / ${quantile(times, 0.95).toFixed(0)} ms`,
    '< 100 ms',
  );
  row('... CPU of the gateway for one', `${((user + system) / 1000 / SCRAPES).toFixed(0)} ms`, '');
}

process.stdout.write(`${new Date().toISOString().slice(0, 16)}Z, ${describeHost()}\n\n`);
row('what', 'measured', 'goal');
row('---', '---', '---');
pixels();
await scrape();
await withAndWithout();
await profiled();
// Undici keeps its sockets for a while.
if (process.stdout.writableLength > 0) await once(process.stdout, 'drain');
process.exit(0);
