import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ClearwayError } from '../contracts/errors.ts';
import { CpuDevice } from '../restore/device/node-device.ts';
import { RestorerGraph, SmootherGraph } from '../restore/graph.ts';
import { listModels, readModel } from '../restore/manifest.ts';
import { CONDITIONS, type Condition } from './conditions.ts';
import { chooseFilters, evaluate, type Plan } from './evaluate.ts';
import { clipTable, exceptions, INPUT, type Row, summaryTable, writeCard } from './report.ts';
import { modelSubject } from './subjects.ts';

const HELP = `npm run eval -- --data DIR [options]: measures the restoration models on clean clips

  --data DIR          clean clips (mp4, mkv, mov, webm) of one scene each; names with _raw_ in them are left out
  --validation DIR    other clean clips, on which each filter's strength is chosen (else: the middle one of three);
                      every fifth one, a third as many frames
  --frames N          of each clip, from its first (12)
  --conditions A,B    of ${CONDITIONS.join(', ')} (all)
  --models A,B        directories of models/ (all restorers)
  --no-filters        leave out ffmpeg's denoisers
  --write             put the tables into the models' card.md
`;

const MODELS = join(import.meta.dirname, '../../models');
const CPU = new CpuDevice(2);

async function clipsIn(directory: string): Promise<string[]> {
  const names = await readdir(directory).catch(() => []);
  const clips = names.filter((name) => /\.(mp4|mkv|mov|webm)$/.test(name) && !name.includes('_raw_')).sort();
  if (clips.length > 0) return clips.map((name) => join(directory, name));
  throw refused(`There are no clips (mp4, mkv, mov, webm) in ${directory}.`);
}

function refused(message: string): ClearwayError {
  return new ClearwayError('CLEARWAY_BAD_REQUEST', message, { status: 400 });
}

function parseConditions(text: string): Condition[] {
  return text.split(',').map((name) => {
    const condition = CONDITIONS.find((known) => known === name);
    if (!condition) throw refused(`There is no condition ${name}: choose of ${CONDITIONS.join(', ')}.`);
    return condition;
  });
}

async function openModels(names: string[] | undefined): Promise<[RestorerGraph[], SmootherGraph]> {
  const smoother = await SmootherGraph.open(await readModel(MODELS, 'smoother'), CPU);
  const graphs: RestorerGraph[] = [];
  for (const name of names ?? (await listModels(MODELS))) {
    const files = await readModel(MODELS, name);
    if (names || files.manifest.kind === 'restorer') graphs.push(await RestorerGraph.open(files, CPU));
  }
  return [graphs, smoother];
}

/** A model's gains on every clip, and where it falls short of its input or of a filter. */
function clipReport(
  rows: readonly Row[],
  subjects: readonly string[],
  [name = '', smoothed = '']: string[],
): string {
  const filters = [...new Set(rows.map((row) => row.subject))].filter(
    (subject) => subject !== INPUT && !subjects.includes(subject),
  );
  const found = [...exceptions(rows, name, filters), ...exceptions(rows, smoothed, [])];
  const against = filters.length > 0 ? ", or its PSNR lower than a filter's" : '';
  const heading = `Clips whose PSNR is lower than their input's, or flicker not lower${against}:`;
  const list = found.length > 0 ? `\n\n${found.map((line) => `- ${line}`).join('\n')}` : ' none.';
  return `${clipTable(rows, name)}\n\n${heading}${list}`;
}

/** Runs the command line; writes tables to stdout and progress to stderr. */
export async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    allowNegative: true,
    options: {
      data: { type: 'string' },
      validation: { type: 'string' },
      frames: { type: 'string', default: '12' },
      conditions: { type: 'string', default: CONDITIONS.join(',') },
      models: { type: 'string' },
      filters: { type: 'boolean', default: true },
      write: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help || !values.data) {
    process.stdout.write(HELP);
    return;
  }
  const frames = Number(values.frames);
  if (!Number.isInteger(frames) || frames < 2) throw refused('--frames takes a whole number from 2 on.');
  const conditions = parseConditions(values.conditions);
  const clips = await clipsIn(values.data);
  const [graphs, smoother] = await openModels(values.models?.split(','));
  const work = await mkdtemp(join(tmpdir(), 'clearway-eval-'));
  try {
    const progress = (line: string) => void process.stderr.write(`${line}\n`);
    const plan: Plan = { clips, frames, conditions, work, progress };
    const models = graphs.flatMap((graph) => [modelSubject(graph), modelSubject(graph, smoother)]);
    const validation = values.validation && {
      ...plan,
      clips: (await clipsIn(values.validation)).filter((_, i) => i % 5 === 0),
      frames: Math.max(2, Math.ceil(frames / 3)),
    };
    const filters = values.filters
      ? await chooseFilters(conditions, work, validation || undefined)
      : undefined;
    const rows = await evaluate(plan, (condition) => [...models, ...(filters?.get(condition) ?? [])]);
    const names = models.map((model) => model.name);
    const versions = graphs.map(({ manifest }) => `${manifest.name} ${manifest.version}`).join(', ');
    const about = `${clips.length} clips of ${basename(values.data)}, first ${frames} frames; ${versions}, smoother ${smoother.manifest.version}.`;
    process.stdout.write(`${about}\n\n${summaryTable(rows, () => true)}\n`);
    for (const { manifest } of graphs) {
      const own = [manifest.name, `${manifest.name} + ${smoother.manifest.name}`];
      const report = clipReport(rows, names, own);
      process.stdout.write(`\n${report}\n`);
      if (!values.write) continue;
      const summary = summaryTable(rows, (subject) => own.includes(subject) || !names.includes(subject));
      await writeCard(join(MODELS, manifest.name, 'card.md'), `${about}\n\n${summary}\n\n${report}`);
    }
    if (!values.write) return;
    const smoothed = summaryTable(rows, (subject) => names.includes(subject));
    await writeCard(join(MODELS, 'smoother', 'card.md'), `${about}\n\n${smoothed}`);
  } finally {
    await rm(work, { recursive: true, force: true });
    for (const graph of [...graphs, smoother]) await graph.release();
  }
}

if (import.meta.main) {
  try {
    await main(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n`);
    process.exitCode = 1;
  }
}
