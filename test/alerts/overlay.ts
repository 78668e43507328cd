import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { parse, stringify } from 'yaml';
import { PROMETHEUS_CONFIG, type Rule, type RuleFile, readRules } from '../support/alert-rules.ts';

const ALERTMANAGER = fileURLToPath(new URL('../../config/alertmanager/alertmanager.yml', import.meta.url));
const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** Metrics of streams move once a second: a shorter window could see no change at all, ms. */
const SHORTEST_WINDOW = 3000;

export interface OverlayOptions {
  directory: string;
  /** How much faster time runs: windows and `for` are divided by it. */
  speed: number;
  gatewayPort: number;
  alertmanagerPort: number;
  /** Where alerts are delivered. */
  webhook: string;
}

/**
 * Writes what Prometheus and Alertmanager run on in a test: the shipped files themselves, with shorter windows and
 * other addresses. Nothing of a rule is written down twice.
 */
export async function writeOverlay(
  options: OverlayOptions,
): Promise<{ prometheus: string; alertmanager: string }> {
  const { directory, speed } = options;
  for (const name of ['recording.yml', 'alerts.yml'] as const) {
    await writeFile(`${directory}/${name}`, stringify(faster(readRules(name), speed)));
  }
  const prometheus = `${directory}/prometheus.yml`;
  const alertmanager = `${directory}/alertmanager.yml`;
  await writeFile(prometheus, stringify(prometheusConfig(options)));
  await writeFile(alertmanager, stringify(alertmanagerConfig(options)));
  return { prometheus, alertmanager };
}

/** The same rules in a world that runs `speed` times as fast. */
export function faster(file: RuleFile, speed: number): RuleFile {
  return {
    groups: file.groups.map((group) => ({
      ...group,
      rules: group.rules.map((rule) => ({
        ...rule,
        expr: fasterWindows(rule.expr, speed),
        ...fasterWaits(rule, speed),
        ...(rule.annotations
          ? {
              annotations: Object.fromEntries(
                Object.entries(rule.annotations).map(([name, text]) => [name, fasterWindows(text, speed)]),
              ),
            }
          : {}),
      })),
    })),
  };
}

const WAITS = ['for', 'keep_firing_for'] as const;

function fasterWaits(rule: Rule, speed: number): Partial<Rule> {
  return Object.fromEntries(
    WAITS.flatMap((wait) => (rule[wait] ? [[wait, `${milliseconds(rule[wait]) / speed}ms`]] : [])),
  );
}

function fasterWindows(text: string, speed: number): string {
  return text.replaceAll(
    /(\[|offset )(\d+[smhd])/g,
    (_, before: string, window: string) =>
      `${before}${Math.max(SHORTEST_WINDOW, milliseconds(window) / speed)}ms`,
  );
}

function milliseconds(duration: string): number {
  const [, count, unit] = /^(\d+)(ms|[smhd])$/.exec(duration) ?? [];
  return Number(count) * UNITS[unit!]!;
}

function prometheusConfig({ directory, gatewayPort, alertmanagerPort }: OverlayOptions): unknown {
  const config = parse(readFileSync(`${PROMETHEUS_CONFIG}prometheus.yml`, 'utf8')) as {
    rule_files: string[];
    alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] };
    scrape_configs: { static_configs: { targets: string[] }[] }[];
  };
  config.alerting.alertmanagers[0]!.static_configs[0]!.targets = [`127.0.0.1:${alertmanagerPort}`];
  config.scrape_configs[0]!.static_configs[0]!.targets = [`127.0.0.1:${gatewayPort}`];
  return {
    ...config,
    global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '500ms' },
    rule_files: config.rule_files.map((name) => `${directory}/${name}`),
  };
}

function alertmanagerConfig({ webhook }: OverlayOptions): unknown {
  const config = parse(readFileSync(ALERTMANAGER, 'utf8')) as {
    route: Record<string, unknown>;
    receivers: { name: string; webhook_configs: { url: string }[] }[];
  };
  return {
    ...config,
    route: { ...config.route, group_wait: '0s', group_interval: '1s' },
    receivers: config.receivers.map((receiver) => ({ ...receiver, webhook_configs: [{ url: webhook }] })),
  };
}
