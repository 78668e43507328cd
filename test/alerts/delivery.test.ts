import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { readRules, rulesOf } from '../support/alert-rules.ts';
import { readDashboard } from '../support/dashboard.ts';
import { patientStream, type RunningGateway, startGateway } from '../support/gateway.ts';
import { type RtspCamera, startRtspCamera } from '../support/rtsp-camera.ts';
import { type Alerting, type Delivered, startAlerting } from './alerting.ts';
import { faster } from './overlay.ts';

/** Panels that are empty where there is no GPU. */
const GPU = readDashboard().panels.flatMap(({ title }) => (title.startsWith('GPU ') ? [title] : []));
const TIMEOUT = { timeout: 240_000 };
/** Two minutes of the rules are four seconds here. */
const SPEED = 30;

/** Lets a process run for 20 ms in every 420: SIGSTOP stops it wherever it is, as an overloaded host would. */
function slowDown(pid: number): Disposable {
  let stopped = false;
  const toggle = () => {
    stopped = !stopped;
    process.kill(pid, stopped ? 'SIGSTOP' : 'SIGCONT');
    timer = setTimeout(toggle, stopped ? 400 : 20);
  };
  let timer = setTimeout(toggle);
  return {
    [Symbol.dispose]() {
      clearTimeout(timer);
      process.kill(pid, 'SIGCONT');
    },
  };
}

const about = (alertname: string, status: Delivered['status'], stream: string) => (alert: Delivered) =>
  alert.labels.alertname === alertname && alert.status === status && alert.labels.stream === stream;

describe('alerts of a running gateway, from Prometheus through Alertmanager to a webhook', () => {
  const camera = { width: 320, height: 180, rate: 10 };
  const stack = new AsyncDisposableStack();
  let gate: RtspCamera;
  let gateway: RunningGateway;
  let alerting: Alerting;

  before(async () => {
    gate = await startRtspCamera(camera);
    stack.defer(() => gate[Symbol.asyncDispose]());
    const frozen = stack.use(await startRtspCamera({ ...camera, pattern: 'smpte100' }));
    gateway = stack.use(
      await startGateway({
        streams: {
          gate: patientStream(gate.url, { height: 180 }),
          yard: patientStream(frozen.url, { model: 'none', height: 180 }),
          // Nobody watches it: nothing of it is worth an alert.
          spare: patientStream(gate.url, { onDemand: true }),
        },
      }),
    );
    await gateway.until('gate', ({ state }) => state === 'live');
    alerting = stack.use(await startAlerting(Number(new URL(gateway.url).port), SPEED));
  }, TIMEOUT);
  after(() => stack.disposeAsync(), TIMEOUT);

  it('a slow restorer is told by the name of the stream, and its recovery too', TIMEOUT, async () => {
    await alerting.until('stream:clearway_latency_burn:rate2m{stream="gate"} <= 6');
    alerting.forget();
    const slow = slowDown(await gateway.restorer());
    let fired: Delivered;
    try {
      fired = await alerting.alert(about('FrameLatencyHigh', 'firing', 'gate'));
    } finally {
      slow[Symbol.dispose]();
    }
    assert.equal(fired.labels.severity, 'critical');
    assert.equal(fired.annotations.summary, 'gate: pictures are late');
    assert.match(fired.annotations.description!, /Slowest stage: \w+, p95 [\d.]+m?s\./);
    await alerting.alert(about('FrameLatencyHigh', 'resolved', 'gate'));
  });

  it('a dead camera is told, and its return too', TIMEOUT, async () => {
    await gate.kill();
    const fired = await alerting.alert(about('StreamDown', 'firing', 'gate'));
    assert.equal(fired.annotations.summary, 'gate: no picture from the camera');
    gate = await startRtspCamera({ ...camera, port: gate.port });
    await alerting.alert(about('StreamDown', 'resolved', 'gate'));
  });

  it('a camera that sends the same picture for half a minute is told', TIMEOUT, async () => {
    const fired = await alerting.alert(about('PictureFrozen', 'firing', 'yard'));
    assert.match(fired.annotations.summary!, /^yard: the same picture for \d+/);
    assert.ok(!alerting.delivered.some(about('PictureFrozen', 'firing', 'gate')));
  });

  it('every panel of the dashboard has an answer', TIMEOUT, async () => {
    const empty: string[] = [];
    for (const { title, targets = [] } of readDashboard().panels) {
      for (const { expr } of targets) {
        const asked = expr.replaceAll(/\$(job|instance|stream)/g, '.*').replaceAll('$__rate_interval', '10s');
        // Rejects an expression that is no PromQL.
        if ((await alerting.query(asked)).length === 0) empty.push(title);
      }
    }
    // Nobody watches, nothing is dropped, and every frame is restored.
    const expected = new Set(['Viewer latency p95, to glass', 'Drops by cause', 'Unrestored frames', ...GPU]);
    assert.deepEqual(
      empty.filter((title) => !expected.has(title)),
      [],
    );
  });

  it('a restorer that crashed is told, and the cameras it took along are not', TIMEOUT, async () => {
    await alerting.until('clearway_restorer_up == 1');
    alerting.forget();
    process.kill(await gateway.restorer(), 'SIGKILL');
    const fired = await alerting.alert(
      ({ labels, status }) => labels.alertname === 'RestorerRestarting' && status === 'firing',
    );
    assert.match(fired.annotations.summary!, /^the restorer of accelerator 0 on \S+ restarted 1 times/);
    await gateway.until('gate', ({ state }) => state === 'live');
    const told = alerting.delivered.map(({ labels }) => labels.alertname);
    assert.ok(!told.includes('StreamFlapping'), told.join());
  });

  it('a stream that nobody wants is never told of', () => {
    assert.deepEqual(
      alerting.delivered.filter(({ labels }) => labels.stream === 'spare'),
      [],
    );
  });
});

describe('the faster rules these tests run on', () => {
  it('are the shipped ones but for their windows', () => {
    const withoutTime = (text: string) => text.replaceAll(/(\[|offset )\w+/g, '$1');
    for (const name of ['recording.yml', 'alerts.yml'] as const) {
      const [shipped, overlay] = [rulesOf(readRules(name)), rulesOf(faster(readRules(name), SPEED))];
      const timeless = (rules: typeof shipped) =>
        rules.map(({ for: _, keep_firing_for: __, ...rule }) => withoutTime(JSON.stringify(rule)));
      assert.deepEqual(timeless(overlay), timeless(shipped));
      assert.notDeepEqual(overlay, shipped);
    }
  });
});
