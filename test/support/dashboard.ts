import { readFileSync } from 'node:fs';

export interface Panel {
  title: string;
  type: string;
  targets?: { expr: string; legendFormat: string }[];
}

/** The Grafana dashboard, as far as tests look at it. */
export interface Dashboard {
  panels: Panel[];
  templating: { list: { name: string; query: string | { query: string } }[] };
}

export function readDashboard(): Dashboard {
  const file = new URL('../../config/grafana/dashboards/clearway.json', import.meta.url);
  return JSON.parse(readFileSync(file, 'utf8')) as Dashboard;
}
