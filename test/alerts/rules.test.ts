import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { PROMETHEUS_CONFIG, readRules, rulesOf } from '../support/alert-rules.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';
import { freePort } from '../support/ports.ts';
import { startServer } from './alerting.ts';

const path = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const run = promisify(execFile);
const alerts = rulesOf(readRules('alerts.yml'));

describe('Prometheus rules', () => {
  it('are valid to promtool, as is the configuration that names them', async () => {
    await run('promtool', ['check', 'config', `${PROMETHEUS_CONFIG}prometheus.yml`]);
  });

  it('fire when they should and name whom they are about', async () => {
    const { stdout } = await run('promtool', ['test', 'rules', path('rules.promtool.yml')]);
    assert.match(stdout, /SUCCESS/);
  });

  it('are each tested for firing', () => {
    const tested = readFileSync(path('rules.promtool.yml'), 'utf8');
    for (const { alert } of alerts) {
      assert.match(tested, new RegExp(`alertname: ${alert}\n +eval_time: \\S+\n +exp_alerts:`), alert);
    }
  });

  it('carry severity, summary and a section of the runbook', () => {
    const runbook = readFileSync(path('../../docs/runbook.md'), 'utf8');
    const sections = new Set([...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name));
    for (const { alert, expr, labels, annotations, for: wait } of alerts) {
      assert.match(wait ?? '', /^\d+[sm]$/, `${alert} says for how long`);
      assert.match(labels?.severity ?? '', /^(critical|warning)$/, alert);
      assert.equal(annotations?.runbook_url, `docs/runbook.md#${alert?.toLowerCase()}`);
      assert.ok(sections.has(alert), `docs/runbook.md has a section ${alert}`);
      if (/stream/.test(expr))
        assert.match(annotations?.summary ?? '', /^\{\{ \$labels\.stream \}\}: /, alert);
    }
    const known = new Set(alerts.map(({ alert }) => alert));
    for (const section of sections) assert.ok(known.has(section), `there is no alert ${section}`);
  });

  it('write the latency objective once, as a bound the histogram has', () => {
    const text = readFileSync(`${PROMETHEUS_CONFIG}recording.yml`, 'utf8') + JSON.stringify(alerts);
    assert.equal(text.match(/frame_latency_seconds_bucket\{le="[\d.]+"/g)?.length, 1);
  });
});

describe('the compose file for monitoring', () => {
  const root = path('../../');
  const { services } = parse(readFileSync(`${root}config/compose.monitoring.yml`, 'utf8')) as {
    services: Record<string, { command?: string[]; volumes: string[] }>;
  };
  /** Where a path inside a container is on this host; volumes without a directory of their own are in `volumes`. */
  const outside = (service: string, file: string, volumes = '/nowhere'): string => {
    const mount = services[service]!.volumes.map((volume) => volume.split(':')).find(
      ([, to]) => file === to || file.startsWith(`${to}/`),
    );
    const [from, to] = mount ?? assert.fail(`${service} has no ${file}`);
    return join(from!.startsWith('.') ? join(root, from!) : join(volumes, from!), file.slice(to!.length));
  };

  it('starts Prometheus and Alertmanager as they are, but for the ports and what containers mount', async () => {
    await using volumes = await temporaryDirectory();
    for (const [service, names] of [
      ['prometheus', ['prometheus']],
      ['alertmanager', ['prometheus-alertmanager', 'alertmanager']],
    ] as const) {
      const port = await freePort();
      const args = services[service]!.command!.map((argument) =>
        argument
          .replace(/=(\/.+)$/, (_, file: string) => `=${outside(service, file, volumes.path)}`)
          .replace(/(?<=127\.0\.0\.1:)\d+$/, String(port)),
      );
      await using _server = await startServer([...names], port, args);
      if (service !== 'prometheus') continue;
      const { data } = (await (await fetch(`http://127.0.0.1:${port}/api/v1/rules`)).json()) as {
        data: { groups: { rules: { name: string }[] }[] };
      };
      const loaded = new Set(data.groups.flatMap(({ rules }) => rules.map(({ name }) => name)));
      for (const { alert } of alerts) assert.ok(loaded.has(alert!), alert);
    }
  });

  it('puts data source and dashboard where Grafana looks for them', () => {
    const provisioning = '/etc/grafana/provisioning';
    assert.ok(existsSync(outside('grafana', `${provisioning}/datasources/prometheus.yml`)));
    const { providers } = parse(
      readFileSync(outside('grafana', `${provisioning}/dashboards/clearway.yml`), 'utf8'),
    ) as { providers: { options: { path: string } }[] };
    // The dashboards' mount lies inside the volume's.
    const inner = services.grafana!.volumes.find((volume) =>
      volume.includes(`:${providers[0]!.options.path}:`),
    );
    assert.ok(inner && existsSync(join(root, inner.split(':')[0]!, 'clearway.json')));
  });
});

describe('the Alertmanager example', () => {
  it('is valid to amtool and inhibits only alerts that exist', async () => {
    const file = path('../../config/alertmanager/alertmanager.yml');
    await run('amtool', ['check-config', file]);
    const names = new Set(alerts.map(({ alert }) => alert));
    for (const [, list] of readFileSync(file, 'utf8').matchAll(/alertname!?=~?"([^"]+)"/g)) {
      for (const name of list!.split('|')) assert.ok(names.has(name), name);
    }
  });
});
