import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { availableParallelism, cpus } from 'node:os';
import { startGateway } from '../publish/webrtc/gateway.ts';
import { ages, play, shown } from '../publish/webrtc/player.ts';
import { launchBrowser } from '../support/browser.ts';

/** First picture, sound against picture, and what a viewer costs. `node test/bench/webrtc.bench.ts` */

const JOINS = 30;
const SYNC_SECONDS = 30;
const CPU_SECONDS = 10;

function quantile(values: number[], q: number): string {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!.toFixed(0);
}

async function browserFigures(): Promise<void> {
  await using gateway = await startGateway();
  await using browser = await launchBrowser();
  const page = await browser.context.newPage();
  const first: number[] = [];
  await page.goto(gateway.url);
  for (let i = 0; i < JOINS; i++) {
    await page.reload();
    await play(page);
    await shown(page, 1);
    first.push(await page.evaluate(() => window.players.main!.firstPicture!));
  }
  console.log(
    `first picture, ms: p50 ${quantile(first, 0.5)}, p95 ${quantile(first, 0.95)} (${JOINS} joins)`,
  );

  const apart: number[] = [];
  for (let i = 0; i < SYNC_SECONDS; i++) {
    await shown(page, 25);
    const { audio, video } = await ages(page);
    apart.push(audio - video);
  }
  const settled = apart.slice(SYNC_SECONDS / 3).map(Math.abs);
  console.log(`sound behind picture, ms, a value a second: ${apart.map((ms) => ms.toFixed(0)).join(' ')}`);
  console.log(
    `sound against picture once settled, ms: p50 ${quantile(settled, 0.5)}, p95 ${quantile(settled, 0.95)}`,
  );
}

/** CPU of gateway and worker with receivers that are stopped once connected, so that only sending is charged. */
async function cost(viewers: number): Promise<void> {
  await using gateway = await startGateway({ source: { width: 1280, height: 720, bitrate: 4_000_000 } });
  const script = new URL('./webrtc-receivers.ts', import.meta.url).pathname;
  const receivers = spawn(process.execPath, [script, `${gateway.url}/whep/cam`, String(viewers)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    await once(receivers.stdout, 'data');
    receivers.kill('SIGSTOP');
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, CPU_SECONDS * 1000));
    const { user, system } = process.cpuUsage(before);
    const share = (user + system) / (CPU_SECONDS * 1e6);
    console.log(`${viewers} viewers at 4 Mbit/s: ${(share * 100).toFixed(0)} % of one core`);
  } finally {
    receivers.kill('SIGKILL');
  }
}

console.log(`${cpus()[0]?.model}, ${availableParallelism()} cores`);
await browserFigures();
for (const viewers of [1, 10, 20]) await cost(viewers);
