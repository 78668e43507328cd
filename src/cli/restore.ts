import { existsSync } from 'node:fs';
import { access, constants, realpath, stat } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, relative, resolve } from 'node:path';
import { checkFfmpeg } from '../codec/ffmpeg.ts';
import { type Config, configSchema } from '../config/schema.ts';
import { ConfigStore } from '../config/store.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { FileRequest, FileResult } from '../contracts/file.ts';
import { FileDesk } from '../streams/file-desk.ts';
import { RestorerClient } from '../streams/restorer-client.ts';
import { RestorerPool } from '../streams/restorer-pool.ts';
import { silentLogger } from '../telemetry/log.ts';
import { clock, ProgressLine } from './progress-line.ts';
import { parseRestoreOptions, RESTORE_HELP, type RestoreOptions } from './restore-options.ts';

/** How a shell tells that a program was ended by a signal: 128 and its number. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const USUAL_CONFIG = 'config/clearway.yml';
type Stop = keyof typeof EXIT_CODES;

/**
 * `clearway restore`: restores one file in a restorer process of its own. Returns the exit code.
 * @param args what follows the command's name
 * @param root directory of the project: models are looked up from here
 */
export async function restore(args: string[], root: string): Promise<number> {
  const options = parseRestoreOptions(args);
  if (!options) {
    process.stdout.write(RESTORE_HELP);
    return 0;
  }
  await refuse(options);
  await checkFfmpeg();
  const abort = new AbortController();
  const stop = (signal: Stop) => {
    // Whoever asks twice does not want to wait for the tidying up, which the restorer then does alone.
    if (abort.signal.aborted) process.exit(EXIT_CODES[signal]);
    abort.abort(signal);
  };
  for (const signal of Object.keys(EXIT_CODES) as Stop[]) process.on(signal, stop);
  const line = process.stderr.isTTY && !options.quiet ? new ProgressLine(process.stderr) : undefined;
  const began = performance.now();
  const pool = await openRestorer(options, root);
  try {
    const result = await new FileDesk(pool).restore(options.request, {
      signal: abort.signal,
      onProgress: (progress) => line?.show(progress),
    });
    line?.clear();
    for (const warning of result.warnings) process.stderr.write(`warning: ${warning}\n`);
    if (line) process.stderr.write(`${summary(options.request, result, performance.now() - began)}\n`);
    return 0;
  } catch (error) {
    line?.clear();
    if (!abort.signal.aborted) throw error;
    if (line) process.stderr.write('stopped; nothing was written\n');
    return EXIT_CODES[abort.signal.reason as Stop];
  } finally {
    await pool.close();
  }
}

/** How the gateway of this host restores, if there is one. */
async function restorerSettings(path: string | undefined): Promise<Config['restorer']> {
  if (path === undefined && !existsSync(USUAL_CONFIG)) return configSchema.shape.restorer.parse({});
  const store = await ConfigStore.open(path ?? USUAL_CONFIG, silentLogger);
  store.close();
  return store.current.restorer;
}

async function openRestorer(options: RestoreOptions, root: string): Promise<RestorerPool> {
  const { models, provider, threads, devices } = await restorerSettings(options.config);
  const client = new RestorerClient(
    {
      models: resolve(root, models),
      provider: options.provider ?? provider,
      threads: threads ?? availableParallelism(),
      device: devices === 'auto' ? 0 : devices[0]!,
      // One file: its pictures come one after another.
      lanes: 1,
      log: { level: 'silent', format: 'auto' },
    },
    silentLogger,
  );
  const pool = new RestorerPool([{ device: 0, client }], { logger: silentLogger, retireDoubles: false });
  pool.start();
  return pool;
}

/** Refuses what cannot end well before any work is done. */
async function refuse({ request: { input, output }, force }: RestoreOptions): Promise<void> {
  const [source, target] = await Promise.all([input, output].map((path) => realpath(path).catch(() => path)));
  const shown = relative('.', output);
  if (source === target)
    throw badRequest(`${shown} is the file to restore itself: give another name with -o`);
  const existing = await stat(output).catch(() => undefined);
  if (existing?.isDirectory()) throw badRequest(`${shown} is a directory: name a file with -o`);
  if (existing && !force) throw badRequest(`${shown} is there already: --force overwrites it`);
  const directory = dirname(output);
  if (!(await stat(directory).catch(() => undefined))?.isDirectory()) {
    throw badRequest(`there is no directory ${directory}`);
  }
  await access(directory, constants.W_OK).catch(() => {
    throw badRequest(`${directory} cannot be written to`);
  });
}

function badRequest(what: string): ClearwayError {
  return new ClearwayError('CLEARWAY_BAD_REQUEST', `${what}.`);
}

function summary({ output }: FileRequest, result: FileResult, ms: number): string {
  const { frames, width, height, model, provider } = result;
  const how = model === 'none' ? 'passed through' : `restored by ${model} on ${provider}`;
  const fps = (frames / (ms / 1000)).toFixed(1);
  return `${relative('.', output)}: ${frames} frames of ${width}x${height} ${how} in ${clock(ms / 1000)} (${fps} fps)`;
}
