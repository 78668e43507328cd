import { readFile, writeFile } from 'node:fs/promises';
import { CONDITIONS, type Condition } from './conditions.ts';
import type { Measures } from './measures.ts';
import { median } from './subjects.ts';

/** One subject on one clip under one condition. */
export interface Row {
  clip: string;
  condition: Condition;
  /** What was measured; `input` is the degraded clip itself. */
  subject: string;
  measures: Measures;
  /** Processor time a frame, all threads together, scaled to 640 x 360 pixels, ms. */
  cpu: number;
}

export const INPUT = 'input';
const HEAD = ['condition', 'what', 'PSNR dB', 'gain dB', 'worst clip', 'SSIM', 'flicker', 'CPU ms'];

/** Means over clips as Markdown, for the subjects that `wanted` names. */
export function summaryTable(rows: readonly Row[], wanted: (subject: string) => boolean): string {
  const lines = CONDITIONS.flatMap((condition) => {
    const here = rows.filter((row) => row.condition === condition);
    const subjects = [...new Set(here.map((row) => row.subject))];
    return subjects
      .filter((subject) => subject === INPUT || wanted(subject))
      .map((subject) =>
        summaryLine(
          condition,
          here.filter((row) => row.subject === subject),
          here,
        ),
      );
  });
  return table(HEAD, lines);
}

function summaryLine(condition: Condition, rows: readonly Row[], here: readonly Row[]): string[] {
  const { subject } = rows[0]!;
  const gains = rows.map((row) => gain(row, here));
  const worst =
    condition === 'clean'
      ? `${Math.min(...rows.map((row) => row.measures.psnr)).toFixed(2)} dB`
      : signed(Math.min(...gains));
  const isInput = subject === INPUT;
  return [
    condition,
    subject,
    mean(rows.map((row) => row.measures.psnr)).toFixed(2),
    isInput || condition === 'clean' ? '-' : signed(mean(gains)),
    isInput ? '-' : worst,
    mean(rows.map((row) => row.measures.ssim)).toFixed(4),
    mean(rows.map((row) => row.measures.flicker)).toFixed(2),
    isInput ? '-' : median(rows.map((row) => row.cpu)).toFixed(1),
  ];
}

/** Every clip's gain in dB by one subject (clean: its PSNR) as Markdown. */
export function clipTable(rows: readonly Row[], subject: string): string {
  const found = CONDITIONS.filter((condition) => rows.some((row) => row.condition === condition));
  const clips = [...new Set(rows.map((row) => row.clip))];
  const lines = clips.map((clip) => [
    clip,
    ...found.map((condition) => {
      const row = rows.find((r) => r.clip === clip && r.condition === condition && r.subject === subject);
      if (!row) return '-';
      return condition === 'clean' ? `${row.measures.psnr.toFixed(2)} dB` : signed(gain(row, rows));
    }),
  ]);
  return table([`${subject}, gain dB`, ...found], lines);
}

/** How much closer to clean than the input it is, dB. */
export function gain(row: Row, rows: readonly Row[]): number {
  const input = rows.find((r) => r.subject === INPUT && r.clip === row.clip && r.condition === row.condition);
  return row.measures.psnr - input!.measures.psnr;
}

/**
 * Where a subject is worse than it should be, one line a finding: below its input, less steady than its input, or
 * below one of the `others`.
 */
export function exceptions(rows: readonly Row[], subject: string, others: readonly string[]): string[] {
  return rows
    .filter((row) => row.subject === subject && row.condition !== 'clean')
    .flatMap((row) => {
      const here = rows.filter((r) => r.clip === row.clip && r.condition === row.condition);
      const where = `${row.clip}, ${row.condition}: ${subject}`;
      const input = here.find((r) => r.subject === INPUT)!.measures;
      const { psnr, flicker } = row.measures;
      return [
        ...(psnr < input.psnr ? [`${where} is ${(input.psnr - psnr).toFixed(2)} dB below its input`] : []),
        ...(flicker >= input.flicker
          ? [`${where} flickers ${flicker.toFixed(2)}, its input ${input.flicker.toFixed(2)}`]
          : []),
        ...here
          .filter((r) => others.includes(r.subject) && r.measures.psnr > psnr)
          .map((r) => `${where} is ${(r.measures.psnr - psnr).toFixed(2)} dB below ${r.subject}`),
      ];
    });
}

const BEGIN = '<!-- eval: written by `npm run eval -- --write` -->';
const END = '<!-- /eval -->';

/** Puts text between a card's markers, or with new markers at its end. */
export async function writeCard(path: string, text: string): Promise<void> {
  const card = await readFile(path, 'utf8').catch(() => '');
  const block = `${BEGIN}\n${text.trimEnd()}\n${END}`;
  const [from, to] = [card.indexOf(BEGIN), card.indexOf(END)];
  const marked = from >= 0 && to > from;
  await writeFile(
    path,
    marked ? card.slice(0, from) + block + card.slice(to + END.length) : `${card}\n${block}\n`,
  );
}

function table(head: string[], lines: string[][]): string {
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function signed(value: number): string {
  return `${value >= 0 ? '+' : ''}${value.toFixed(2)}`;
}

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
