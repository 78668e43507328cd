import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const PROMETHEUS_CONFIG = fileURLToPath(new URL('../../config/prometheus/', import.meta.url));

export interface Rule {
  record?: string;
  alert?: string;
  expr: string;
  for?: string;
  keep_firing_for?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
}

export interface RuleFile {
  groups: { name: string; interval?: string; rules: Rule[] }[];
}

export function readRules(name: 'recording.yml' | 'alerts.yml'): RuleFile {
  return parse(readFileSync(`${PROMETHEUS_CONFIG}${name}`, 'utf8')) as RuleFile;
}

export const rulesOf = ({ groups }: RuleFile): Rule[] => groups.flatMap(({ rules }) => rules);

/** Expressions that annotations ask for: the format string of `printf ... | query`. */
export function queriesOf({ annotations = {} }: Rule): string[] {
  return Object.values(annotations).flatMap((text) =>
    [...text.matchAll(/printf "([^"]*)"[^}]*\| query/g)].map(([, query]) => query!),
  );
}
