import { dirname, resolve } from 'node:path';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { restore } from './cli/restore.ts';
import { type Config, configSchema } from './config/schema.ts';
import { ConfigStore } from './config/store.ts';
import { ClearwayError, errorInfo } from './contracts/errors.ts';
import { doctor } from './doctor.ts';
import { Gateway } from './gateway.ts';
import { installGpu } from './gpu-install.ts';
import { hashPassword, hashToken } from './http/secrets.ts';
import { listModels, readModel } from './restore/manifest.ts';
import { createLogger, silentLogger } from './telemetry/log.ts';

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '..');

const HELP = `clearway: real-time stream restoration gateway

Usage: clearway <command> [options]

Commands
  serve            start the gateway (default)
  restore          restore a video file without a server; clearway restore --help tells more
  doctor           what this host can do, and what is wrong
  models           the installed models, checked
  gpu install      get the CUDA provider from PyPI, or from wheels or folders given with --from
  hash-password    read a password from standard input, print its hash for auth.users
  hash-token       read a token from standard input, print its hash for auth.tokens

Options
  --config FILE    configuration (default config/clearway.yml)
  --from PATH      for gpu install: a wheel or a folder; can be repeated
  --log-level L    trace, debug, info, warn, error, fatal or silent (default: log.level of the configuration)
  --log-format F   json, pretty or auto (default: log.format of the configuration)
  -h, --help       this text
  -v, --version    version

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.
`;

/** Errors that are the operator's to correct before another start makes sense. */
const USAGE_ERRORS = new Set(['CLEARWAY_CONFIG_INVALID', 'CLEARWAY_BIND_REFUSED', 'CLEARWAY_BAD_REQUEST']);

function complain(error: unknown): number {
  const { code, message } = errorInfo(error);
  process.stderr.write(`${code}: ${message}\n`);
  return USAGE_ERRORS.has(code) ? 2 : 1;
}

function readOptions(): { command: string; values: Record<string, string | boolean | string[] | undefined> } {
  try {
    const { positionals, values } = parseArgs({
      allowPositionals: true,
      options: {
        config: { type: 'string', default: 'config/clearway.yml' },
        from: { type: 'string', multiple: true },
        'log-level': { type: 'string' },
        'log-format': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
        version: { type: 'boolean', short: 'v' },
      },
    });
    const command = positionals[0] === 'gpu' ? positionals.splice(0, 2).join(' ') : positionals.shift();
    if (positionals.length > 0) throw new Error(`unexpected argument ${positionals[0]}`);
    return { command: command ?? 'serve', values };
  } catch (error) {
    throw new ClearwayError(
      'CLEARWAY_BAD_REQUEST',
      `${(error as Error).message}; clearway --help lists what there is.`,
    );
  }
}

/** How to log: as the command line says, else as the configuration does. */
async function logSettings(
  config: string,
  { level, format }: Record<string, unknown>,
): Promise<Config['log']> {
  const given = configSchema.shape.log.safeParse({
    ...(level ? { level } : {}),
    ...(format ? { format } : {}),
  });
  if (!given.success) {
    const [issue] = given.error.issues;
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `--log-${issue?.path.join()}: ${issue?.message}.`);
  }
  const store = await ConfigStore.open(config, silentLogger);
  store.close();
  const { log } = store.current;
  return { level: level ? given.data.level : log.level, format: format ? given.data.format : log.format };
}

async function serve(config: string, given: Record<string, unknown>): Promise<number> {
  const log = await logSettings(config, given);
  const logger = createLogger(log);
  process.on('uncaughtException', (error) => {
    logger.fatal({ err: error }, 'unexpected failure');
    process.exit(1);
  });
  const stop = new Promise<NodeJS.Signals>((done) => {
    process.once('SIGINT', done);
    process.once('SIGTERM', done);
    // A terminal that closes ends what runs in it; to a service it is the wish to read the file again (logrotate sends it).
    process.on('SIGHUP', (signal) => {
      if (isatty(0)) done(signal);
      else logger.info({ signal }, 'edits of the configuration are taken in as they are made');
    });
  });
  const gateway = await Gateway.start({ config, logger, log, root: ROOT });
  logger.info({ url: gateway.url }, `Clearway is ready: open ${gateway.url}`);
  const signal = await stop;
  process.once('SIGINT', () => process.exit(1));
  logger.info({ signal }, 'stopping');
  await gateway.close();
  logger.info('stopped');
  return 0;
}

async function models(): Promise<number> {
  const directory = resolve(ROOT, 'models');
  let refused = 0;
  for (const name of await listModels(directory)) {
    try {
      const { manifest } = await readModel(directory, name);
      process.stdout.write(
        `${name} ${manifest.version} (${manifest.kind}, ${manifest.licence}): ${manifest.description}\n`,
      );
    } catch (error) {
      refused++;
      process.stdout.write(`${name}: ${errorInfo(error).message}\n`);
    }
  }
  return refused > 0 ? 1 : 0;
}

async function hash(make: (secret: string) => string | Promise<string>): Promise<number> {
  let secret = '';
  for await (const chunk of process.stdin) secret += chunk;
  secret = secret.replace(/\r?\n$/, '');
  if (!secret)
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', 'Nothing was read: give the secret on standard input.');
  process.stdout.write(`${await make(secret)}\n`);
  return 0;
}

async function main(): Promise<number> {
  if (process.argv[2] === 'restore') return restore(process.argv.slice(3), ROOT);
  const { command, values } = readOptions();
  if (values.version) {
    const { default: manifest } = await import('../package.json', { with: { type: 'json' } });
    process.stdout.write(`clearway ${manifest.version}\n`);
    return 0;
  }
  if (values.help || command === 'help') {
    process.stdout.write(HELP);
    return 0;
  }
  const config = String(values.config);
  switch (command) {
    case 'serve':
      return serve(config, { level: values['log-level'], format: values['log-format'] });
    case 'doctor':
      return doctor(config, ROOT);
    case 'gpu install':
      await installGpu((values.from as string[] | undefined) ?? [], (line) =>
        process.stdout.write(`${line}\n`),
      );
      return 0;
    case 'models':
      return models();
    case 'hash-password':
      return hash(hashPassword);
    case 'hash-token':
      return hash(hashToken);
    default:
      throw new ClearwayError(
        'CLEARWAY_BAD_REQUEST',
        `There is no command ${command}; clearway --help lists them.`,
      );
  }
}

for (const stream of [process.stdout, process.stderr]) {
  // Whoever reads may have seen enough (`doctor | head`): the work goes on to its end, and nothing more is printed.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}
process.exitCode = await main().catch(complain);
