/**
 * What telemetry costs on this machine: `node test/bench/telemetry.ts [--seconds 60]`. Two gateways show the same
 * 720p camera at the same time, one of them without any telemetry and the other scraped every 15 s; then a scrape of
 * 100 streams' series over HTTP.
 */
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { configSchema } from '../../src/config/schema.ts';
import { DROP_CAUSES, OUTCOMES, STAGES, STREAM_STATES } from '../../src/contracts/stream.ts';
import { createHttpServer } from '../../src/http/server.ts';
import { FreezeDetector } from '../../src/restore/freeze-detector.ts';
import { compareQuality, sampleBlocks } from '../../src/restore/picture-quality.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { FakeControl } from '../support/fake-control.ts';
import { type RunningGateway, startGateway } from '../support/gateway.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { cpuSeconds, describeHost, quantile } from './host.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '60' } } });
const SECONDS = Number(values.seconds);
/** Seconds before the comparison. */
const WARM_UP = 15;
/** Seconds over which the two are compared at a time. */
const SLICE = 5;
const SCRAPE_EVERY = 15_000;
const STREAMS = 100;
const SCRAPES = 40;

function row(...cells: (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

/** CPU seconds so far of everything the stream needs: gateway, restorer, decoder. */
async function used(gateway: RunningGateway): Promise<number> {
  const children = await gateway.children();
  return [gateway.pid, ...children.map(({ pid }) => pid)].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
}

async function withAndWithout(): Promise<void> {
  await using camera = await startRtspCamera({ width: 1280, height: 720, rate: 25, bitrate: 2000 });
  const streams = { cam: { source: camera.url, model: 'none', height: 720 } };
  process.env.NODE_OPTIONS = `--import=${new URL('without-telemetry.ts', import.meta.url)}`;
  await using without = await startGateway({ streams });
  delete process.env.NODE_OPTIONS;
  await using measured = await startGateway({
    streams,
    webrtc: { portRange: [42_500, 42_549], workers: 1 },
  });
  const both = [without, measured];
  for (const gateway of both) await gateway.until('cam', ({ state }) => state === 'live');
  const scraping = setInterval(() => void measured.api('GET', '/metrics'), SCRAPE_EVERY);
  // The younger of the two still compiles its code.
  await new Promise((resolve) => setTimeout(resolve, WARM_UP * 1000));
  const slices: { bare: number; full: number }[] = [];
  let before = await Promise.all(both.map(used));
  while (slices.length < SECONDS / SLICE) {
    await new Promise((resolve) => setTimeout(resolve, SLICE * 1000));
    const after = await Promise.all(both.map(used));
    const [bare, full] = after.map((seconds, index) => ((seconds - before[index]!) / SLICE) * 1000);
    slices.push({ bare: bare!, full: full! });
    before = after;
  }
  clearInterval(scraping);
  const bare = mean(slices.map((slice) => slice.bare));
  const differences = slices.map((slice) => (100 * (slice.full - slice.bare)) / bare);
  const difference = mean(differences);
  const variance = mean(differences.map((value) => (value - difference) ** 2));
  const error = Math.sqrt(variance / (slices.length - 1));
  row(
    `1280x720 25 fps, network bypassed, ${SECONDS} s: CPU of the stream without telemetry`,
    `${bare.toFixed(0)} ms a second`,
    '',
  );
  row(
    '... with, scraped every 15 s',
    `${mean(slices.map((slice) => slice.full)).toFixed(0)} ms a second`,
    '',
  );
  row('... difference ± its standard error', `${difference.toFixed(1)} ± ${error.toFixed(1)} %`, '< 2 %');
}

function mean(values: number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The parts that look at pixels, by themselves: the difference above is close to what two equal gateways differ by. */
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
  row('quality before and after, once in 5 s', `${quality.toFixed(2)} ms`, '');
  const share = (freeze * 125 + quality) / 5000;
  row('... both, of the frames’ time', `${(100 * share).toFixed(3)} %`, '<= 1 %');
}

/** A gateway's metrics with every series that so many streams can have. */
function fill(metrics: Metrics): void {
  metrics.collectProcess();
  for (let index = 0; index < STREAMS; index++) {
    const stream = `camera-${index}`;
    metrics.declare(stream);
    for (const stage of ['capture', ...STAGES, 'publish'])
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
  const times: number[] = [];
  let text = '';
  for (let round = 0; round < SCRAPES; round++) {
    const began = performance.now();
    text = await (await fetch(`${url}/metrics`)).text();
    times.push(performance.now() - began);
  }
  await server.close();
  const series = text.split('\n').filter((line) => line && !line.startsWith('#')).length;
  row(
    `scrape of ${STREAMS} streams, ${series} series, ${Math.round(text.length / 1024)} KiB: p50 / p95 of ${SCRAPES}`,
    `${quantile(times, 0.5).toFixed(0)} / ${quantile(times, 0.95).toFixed(0)} ms`,
    '< 100 ms',
  );
}

process.stdout.write(`${new Date().toISOString().slice(0, 16)}Z, ${describeHost()}\n\n`);
row('what', 'measured', 'goal');
row('---', '---', '---');
pixels();
await scrape();
await withAndWithout();
// Undici keeps its sockets for a while.
if (process.stdout.writableLength > 0) await once(process.stdout, 'drain');
process.exit(0);
