/** What a PromQL expression reads, as far as the rules and panels of this project go. */
export interface Selector {
  metric: string;
  matchers: { label: string; op: '=' | '!=' | '=~' | '!~'; value: string }[];
}

const NAME = /[a-zA-Z_][a-zA-Z0-9_]*:[a-zA-Z0-9_:]*|clearway_\w+|process_\w+|nodejs_\w+|\bup\b/;
const SELECTOR = new RegExp(`(${NAME.source})(?:\\{([^}]*)\\})?`, 'g');
const MATCHER = /(\w+)\s*(=~|!~|!=|=)\s*(?:"([^"]*)"|'([^']*)')/g;
const GROUPING = /\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)/g;

/** Every selector of an expression. */
export function selectors(expression: string): Selector[] {
  return [...expression.replaceAll(GROUPING, '').matchAll(SELECTOR)].map(([, metric, inside = '']) => ({
    metric: metric!,
    matchers: [...inside.matchAll(MATCHER)].map(([, label, op, double, single]) => ({
      label: label!,
      op: op as '=',
      value: double ?? single ?? '',
    })),
  }));
}

/** Every label an expression groups or joins by. */
export function groupingLabels(expression: string): string[] {
  return [...expression.matchAll(GROUPING)].flatMap(([, labels]) =>
    labels!.split(',').map((label) => label.trim()),
  );
}

export interface Sample {
  metric: string;
  labels: Record<string, string>;
  value: number;
}

/** Reads the Prometheus text format. */
export function parseMetrics(text: string): { names: Set<string>; samples: Sample[] } {
  const names = new Set<string>();
  const samples: Sample[] = [];
  for (const line of text.split('\n')) {
    const declared = /^# TYPE (\S+) (\S+)/.exec(line);
    if (declared) {
      names.add(declared[1]!);
      if (declared[2] === 'histogram')
        for (const part of ['bucket', 'sum', 'count']) names.add(`${declared[1]}_${part}`);
      continue;
    }
    const sample = /^([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (!sample || line.startsWith('#')) continue;
    const labels = [...(sample[2] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, label, value]) => [
      label,
      value,
    ]);
    samples.push({ metric: sample[1]!, labels: Object.fromEntries(labels), value: Number(sample[3]) });
  }
  return { names, samples };
}

/** Whether a sample is one that a selector reads. */
export function selects({ metric, matchers }: Selector, sample: Sample): boolean {
  if (metric !== sample.metric) return false;
  return matchers.every(({ label, op, value }) => {
    const actual = sample.labels[label] ?? '';
    const same = op.endsWith('~') ? new RegExp(`^(?:${value})$`).test(actual) : actual === value;
    return op.startsWith('!') ? !same : same;
  });
}
