import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, describe, it } from 'node:test';
import WebSocket from 'ws';
import { STAGES } from '../../src/contracts/stream.ts';
import { WhepViewer } from '../bench/whep-viewer.ts';
import { queriesOf, readRules, rulesOf } from '../support/alert-rules.ts';
import { readDashboard } from '../support/dashboard.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { fakeNvidiaSmi } from '../support/nvidia-smi.ts';
import { groupingLabels, parseMetrics, type Sample, selectors, selects } from '../support/promql.ts';
import { startRtspCamera } from '../support/rtsp-camera.ts';

const TIMEOUT = { timeout: 120_000 };
/** Prometheus adds these to every series, or makes them of alerts. */
const ADDED_LABELS = ['job', 'instance', 'alertname', 'alertstate', 'severity'];
const ADDED_METRICS = new Set(['up', 'ALERTS']);
/** Only there with TLS. */
const CONDITIONAL = new Set(['clearway_certificate_not_after_timestamp_seconds']);

const recording = rulesOf(readRules('recording.yml'));
const alerts = rulesOf(readRules('alerts.yml'));
const dashboard = readDashboard();
const recorded = new Map(recording.map(({ record, expr }) => [record!, expr]));

/** Every expression of rules and dashboard, with where it stands. */
function expressions(): { where: string; expr: string }[] {
  const rules = [...recording, ...alerts].flatMap((rule) =>
    [rule.expr, ...queriesOf(rule)].map((expr) => ({ where: rule.record ?? rule.alert!, expr })),
  );
  const panels = dashboard.panels.flatMap(({ title, targets = [] }) =>
    targets.map(({ expr }) => ({ where: title, expr })),
  );
  const variables = dashboard.templating.list.flatMap(({ name, query }) =>
    typeof query === 'string' ? [] : [{ where: `variable ${name}`, expr: query.query }],
  );
  return [...rules, ...panels, ...variables];
}

/** The metrics a recorded series is made of carry its labels. */
function sources(metric: string): string[] {
  const expr = recorded.get(metric);
  return expr === undefined ? [metric] : selectors(expr).flatMap((selector) => sources(selector.metric));
}

describe('rules and dashboard against a real gateway', () => {
  const stack = new AsyncDisposableStack();
  let gateway: RunningGateway;
  let names: Set<string>;
  let samples: Sample[];

  const scrape = async () => parseMetrics(String((await gateway.api('GET', '/metrics')).body));
  async function until(condition: (samples: Sample[]) => boolean): Promise<Sample[]> {
    for (;;) {
      const scraped = (await scrape()).samples;
      if (condition(scraped)) return scraped;
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }
  const has = (metric: string, labels: Record<string, string>) => (sample: Sample) =>
    sample.metric === metric &&
    Object.entries(labels).every(([label, value]) => sample.labels[label] === value);

  before(async () => {
    const moving = stack.use(await startRtspCamera({ width: 320, height: 180, rate: 10 }));
    const frozen = stack.use(
      await startRtspCamera({ width: 320, height: 180, rate: 10, gop: 10, pattern: 'smpte100' }),
    );
    const { path: tools } = stack.use(await temporaryDirectory());
    await fakeNvidiaSmi(
      tools,
      'case "$1" in -L) exit 1;; esac; while :; do echo "0, 50, 1024, 81920, 60, 300.5, 10, 20"; sleep 1; done',
    );
    const { PATH } = process.env;
    process.env.PATH = `${tools}:${PATH}`;
    stack.defer(() => {
      process.env.PATH = PATH;
    });
    gateway = stack.use(
      await startGateway({
        streams: {
          gate: patientStream(moving.url, { height: 180 }),
          yard: patientStream(frozen.url, { model: 'none', height: 180 }),
        },
      }),
    );
    await gateway.until('gate', ({ state }) => state === 'live');
    await gateway.until('yard', ({ state }) => state === 'live');
    // What a player would send.
    const socket = new WebSocket(`${gateway.url.replace('http', 'ws')}/events`);
    stack.defer(() => socket.terminate());
    await once(socket, 'open');
    for (const protocol of ['webrtc', 'hls']) {
      socket.send(JSON.stringify({ type: 'latency', stream: 'gate', protocol, ms: [120] }));
    }
    await gateway.api('GET', '/hls/gate/index.m3u8');
    await gateway.api('GET', '/api/v1/streams');
    await until((seen) => {
      const there = (metric: string, labels = {}) => seen.some(has(metric, labels));
      return (
        there('clearway_picture_noise_levels', { stream: 'gate', side: 'after' }) &&
        there('clearway_viewer_latency_seconds_count', { protocol: 'hls' }) &&
        there('clearway_accelerator_utilization_ratio', { device: 'cpu' }) &&
        there('clearway_accelerator_temperature_celsius') &&
        there('clearway_viewers')
      );
    });
    ({ names, samples } = await scrape());
  }, TIMEOUT);
  after(() => stack.disposeAsync(), TIMEOUT);

  it('every metric they name exists', () => {
    for (const { where, expr } of expressions()) {
      const read = selectors(expr);
      assert.ok(read.length > 0, `${where}: ${expr} reads nothing that is known here`);
      for (const { metric } of read) {
        assert.ok(
          names.has(metric) || recorded.has(metric) || ADDED_METRICS.has(metric),
          `${where}: ${metric}`,
        );
      }
    }
  });

  it('every selector finds a series, and every label they group by is one', () => {
    const labels = new Set([...samples.flatMap((sample) => Object.keys(sample.labels)), ...ADDED_LABELS]);
    for (const { where, expr } of expressions()) {
      for (const label of groupingLabels(expr)) assert.ok(labels.has(label), `${where}: label ${label}`);
      for (const selector of selectors(expr)) {
        if (ADDED_METRICS.has(selector.metric) || CONDITIONAL.has(selector.metric)) continue;
        // A request that failed is not to be had; variables are filled in by Grafana.
        const matchers = selector.matchers.filter(
          ({ label, value }) => label !== 'status' && !ADDED_LABELS.includes(label) && !/\$|%s/.test(value),
        );
        for (const { label } of selector.matchers) assert.ok(labels.has(label), `${where}: label ${label}`);
        for (const metric of recorded.has(selector.metric)
          ? sources(selector.metric).slice(0, 1)
          : [selector.metric]) {
          assert.ok(
            samples.some((sample) => selects({ metric, matchers }, sample)),
            `${where}: no series ${metric} ${JSON.stringify(matchers)}`,
          );
        }
      }
    }
  });

  it('every label a summary or a legend shows is there', () => {
    const labels = new Set([...samples.flatMap((sample) => Object.keys(sample.labels)), ...ADDED_LABELS]);
    const shown = [
      ...alerts.flatMap(({ annotations = {} }) =>
        Object.values(annotations).flatMap((text) => [...text.matchAll(/[lL]abels\.(\w+)/g)]),
      ),
      ...dashboard.panels.flatMap(({ targets = [] }) =>
        targets.flatMap(({ legendFormat }) => [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)]),
      ),
    ];
    for (const [, label] of shown) assert.ok(labels.has(label!), label);
  });

  it('a camera that sends the same picture is seen, one that moves is not', TIMEOUT, async () => {
    const unchanged = (seen: Sample[], stream: string) =>
      seen.find(has('clearway_picture_unchanged_seconds', { stream }))?.value ?? 0;
    const seen = await until((seen) => unchanged(seen, 'yard') > 8);
    assert.ok(unchanged(seen, 'gate') < 2, `gate unchanged for ${unchanged(seen, 'gate')} s`);
  });

  it('the last seconds of a stream come as a trace, each stage inside its frame', TIMEOUT, async () => {
    const { body } = await gateway.api('GET', '/api/v1/streams/gate/trace?seconds=20');
    const { traceEvents } = body as { traceEvents: { name: string; ph: string; ts: number; dur: number }[] };
    const slices = traceEvents.filter(({ ph }) => ph === 'X');
    let frame = slices[0];
    assert.ok(frame && slices.length > 20);
    for (const slice of slices) {
      if (slice.name === 'restored' || slice.name === 'passthrough') frame = slice;
      // Times of three threads and a process are compared, to a few milliseconds. Before and after is no stage of it.
      else if (STAGES.some((stage) => stage === slice.name))
        assert.ok(slice.ts >= frame.ts && slice.ts + slice.dur <= frame.ts + frame.dur + 10_000, slice.name);
    }
    const stages = new Set(slices.map(({ name }) => name));
    assert.ok(
      ['decode', 'restore', 'encode', 'publish'].every((stage) => stages.has(stage)),
      [...stages].join(),
    );
  });

  it('one stream has a bounded number of series, and they go with it', TIMEOUT, async () => {
    const own = (seen: Sample[]) => seen.filter(({ labels }) => labels.stream === 'gate');
    assert.ok(own((await scrape()).samples).length < 250);
    // People are watching while it is removed.
    await using viewer = await WhepViewer.open(`${gateway.url}/whep/gate`);
    await viewer.pictures(1);
    await gateway.api('GET', '/hls/gate/restored/media.m3u8');
    await gateway.api('DELETE', '/api/v1/streams/gate');
    await until((seen) => own(seen).length === 0);
    // Their sessions count themselves out, and bring nothing back.
    await gateway.logged(({ msg }) => msg === 'viewer left');
    assert.deepEqual(own((await scrape()).samples), []);
  });
});
