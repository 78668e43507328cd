import assert from 'node:assert/strict';
import { test } from 'node:test';
import { launchBrowser } from '../support/browser.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { parseMetrics, type Sample } from '../support/promql.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';
import { startRtspRelay } from '../support/rtsp-relay.ts';

/** How far behind the clock of one of the cameras is, ms: its pictures seem that much older. */
const SLOW = 2000;
/** From the camera to the screen, in order. */
const STAGES = [
  ...['capture', 'decode', 'queue', 'restore', 'smooth', 'encode', 'publish', 'packetise', 'display'],
];

async function scrape(gateway: RunningGateway): Promise<Sample[]> {
  return parseMetrics(String((await gateway.api('GET', '/metrics')).body)).samples;
}

/** Mean of a histogram in ms, and its samples. */
function mean(samples: Sample[], metric: string, labels: Record<string, string>) {
  const of = (suffix: string) =>
    samples.find(
      (sample) =>
        sample.metric === `clearway_${metric}_seconds_${suffix}` &&
        Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
    )?.value ?? 0;
  return { ms: (of('sum') / of('count')) * 1000, count: of('count') };
}

/** Waits until a viewer has reported enough frames of a stream. */
async function watched(gateway: RunningGateway, stream: string, basis: string): Promise<Sample[]> {
  for (;;) {
    const samples = await scrape(gateway);
    if (mean(samples, 'viewer_latency', { stream, protocol: 'webrtc', basis }).count >= 50) return samples;
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
}

test('a picture is followed from the camera’s shutter to a browser’s screen, every stage of it', {
  timeout: 180_000,
}, async (t) => {
  await using camera = await startRtspCamera({ width: 320, height: 180, rate: 10 });
  await using right = await startRtspRelay(camera.url, 0);
  await using slow = await startRtspRelay(camera.url, -SLOW);
  await using silent = await startRtspRelay(camera.url, 'silent');
  const stream = (url: string) => patientStream(url, { height: 180, transport: 'tcp', onDemand: true });
  await using gateway = await startGateway({
    streams: { right: stream(right.url), slow: stream(slow.url), silent: stream(silent.url) },
  });
  await using browser = await launchBrowser();
  const glass: Record<string, number> = {};
  for (const name of ['right', 'slow', 'silent']) {
    const page = await browser.context.newPage();
    await page.goto(`${gateway.url}/streams/${name}`);
    const basis = name === 'silent' ? 'arrival' : 'capture';
    const samples = await watched(gateway, name, basis);
    glass[name] = mean(samples, 'viewer_latency', { stream: name, protocol: 'webrtc', basis }).ms;
    const stages = STAGES.map((stage) => {
      const { ms, count } = mean(samples, 'stage_duration', { stream: name, stage });
      return { stage, ms: count === 0 ? 0 : ms, count };
    });
    t.diagnostic(
      `${name}: ${glass[name].toFixed(0)} ms since ${basis}; ${stages.map(({ stage, ms }) => `${stage} ${ms.toFixed(1)}`).join(', ')}`,
    );
    for (const { stage, count } of stages)
      assert.equal(count > 0, stage !== 'capture' || basis === 'capture', `${name}: ${stage}, ${count}`);
    // The stages are means over slightly different frames; between them lie waits for the encoder and jitter.
    const sum = stages.reduce((total, { ms }) => total + ms, 0);
    assert.ok(Math.abs(sum - glass[name]) < 0.2 * glass[name] + 20, `stages ${sum}, glass ${glass[name]}`);
    if (basis === 'capture') {
      const shown = page.locator('tr[data-row=glass] td:last-child').filter({ hasText: /^\d/ });
      const ms = Number((await shown.textContent())?.replaceAll(/\D/g, ''));
      assert.equal(ms >= SLOW, name === 'slow', `the page says ${ms} ms`);
      await page.getByText('From capture by the camera’s clock').waitFor();
    } else await page.getByText('From arrival at the gateway').waitFor();
    await page.close();
  }
  const apart = glass.slow! - glass.right!;
  assert.ok(Math.abs(apart - SLOW) < 500, `the slow clock makes ${apart} ms`);

  const { body } = await gateway.api('GET', '/api/v1/streams/right/trace?seconds=60');
  const { traceEvents } = body as { traceEvents: { name: string; ph: string }[] };
  const rows = new Set(traceEvents.filter(({ ph }) => ph === 'X').map(({ name }) => name));
  for (const stage of STAGES.filter((name) => name !== 'smooth')) assert.ok(rows.has(stage), stage);
});
