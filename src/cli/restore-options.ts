import { basename, extname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { CONTAINERS } from '../codec/file/tracks.ts';
import { type Config, configSchema } from '../config/schema.ts';
import { ClearwayError } from '../contracts/errors.ts';
import { CRF, type FileRequest, type FileSettings } from '../contracts/file.ts';

export const RESTORE_HELP = `clearway restore: restore a video file, without a server

Usage: clearway restore INPUT [-o OUTPUT] [options]

  -o, --output FILE   result; its name chooses the container: .mp4, .mov, .mkv or .webm
                      (default: INPUT's name with .restored before its ending, in this directory)
  -f, --force         overwrite OUTPUT
      --model M       auto, none or a name that \`clearway models\` lists (default auto)
      --strength S    0 = untouched .. 1 = fully restored (default 1)
      --smoothing S   temporal smoothing, 0 = off .. 1 (default 0.5)
      --target T      lines of the result: source, 480p, 720p, 1080p or 2160p (default source)
      --codec C       h264, hevc or av1 (default h264; av1 for .webm)
      --crf N         constant quality, 0 = best: h264 and hevc 0..51, av1 0..63 (default: the codec's usual)
      --provider P    auto, cpu, webgpu, cuda or tensorrt (default: restorer.provider of the configuration)
      --config FILE   configuration (default config/clearway.yml where there is one)
  -q, --quiet         no progress; there is none either when standard error is not a terminal
  -h, --help          this text

Audio, subtitles, chapters, attachments and times stay as they are. Ctrl-C stops and leaves nothing behind.
Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped.
`;

export interface RestoreOptions {
  request: FileRequest;
  force: boolean;
  quiet: boolean;
  /** Path of the configuration file, when one is named. */
  config: string | undefined;
  provider: Config['restorer']['provider'] | undefined;
}

const TARGETS = ['source', '480p', '720p', '1080p', '2160p'];
const CODECS: readonly FileSettings['codec'][] = ['h264', 'hevc', 'av1'];
const PROVIDERS = configSchema.shape.restorer.def.innerType.shape.provider.def.innerType.options;

/** Reads the command line; undefined when help is asked for. Throws CLEARWAY_BAD_REQUEST, saying what is wrong. */
export function parseRestoreOptions(
  args: string[],
  env: NodeJS.ProcessEnv = process.env,
): RestoreOptions | undefined {
  const { positionals, values } = parse(args);
  if (values.help) return undefined;
  const [input, extra] = positionals;
  if (input === undefined) throw wrong('which file');
  if (extra !== undefined) throw wrong(`unexpected argument ${extra}`);
  const output = resolve(here(env), values.output ?? defaultOutput(input));
  const extension = extname(output).slice(1).toLowerCase();
  if (!(extension in CONTAINERS)) {
    throw wrong(`${basename(output)}: the name must end in .${Object.keys(CONTAINERS).join(', .')}`);
  }
  const codec = among('codec', values.codec ?? (extension === 'webm' ? 'av1' : 'h264'), CODECS);
  const target = among('target', values.target ?? 'source', TARGETS);
  return {
    request: {
      input: resolve(here(env), input),
      output,
      settings: {
        model: values.model ?? 'auto',
        strength: number('strength', values.strength ?? '1', 1),
        smoothing: number('smoothing', values.smoothing ?? '0.5', 1),
        height: target === 'source' ? 'source' : Number.parseInt(target, 10),
        codec,
        crf: values.crf === undefined ? undefined : number('crf', values.crf, CRF[codec].worst),
      },
    },
    force: values.force ?? false,
    quiet: values.quiet ?? false,
    config: values.config,
    provider: values.provider === undefined ? undefined : among('provider', values.provider, PROVIDERS),
  };
}

function parse(args: string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        output: { ...text, short: 'o' },
        model: text,
        strength: text,
        smoothing: text,
        target: text,
        codec: text,
        crf: text,
        provider: text,
        config: text,
        force: { ...flag, short: 'f' },
        quiet: { ...flag, short: 'q' },
        help: { ...flag, short: 'h' },
      },
    });
  } catch (error) {
    throw wrong((error as Error).message);
  }
}

/** Where the user stands: `npm run` has gone to the project's directory. */
function here({ npm_lifecycle_event: script, INIT_CWD: before }: NodeJS.ProcessEnv): string {
  return script === 'clearway' && before ? before : process.cwd();
}

/** `clip.avi` becomes `clip.restored.mp4`: the original's container where a result can have it, else MP4. */
function defaultOutput(input: string): string {
  const extension = extname(input);
  const kept = extension.slice(1).toLowerCase() in CONTAINERS ? extension : '.mp4';
  return `${basename(input, extension)}.restored${kept}`;
}

function among<T extends string>(option: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((one) => one === value);
  if (found === undefined) throw wrong(`--${option} ${value}: choose ${allowed.join(', ')}`);
  return found;
}

function number(option: string, value: string, most: number): number {
  const parsed = value.trim() === '' ? Number.NaN : Number(value);
  if (!(parsed >= 0 && parsed <= most)) throw wrong(`--${option} ${value}: give a number from 0 to ${most}`);
  return parsed;
}

function wrong(what: string): ClearwayError {
  return new ClearwayError('CLEARWAY_BAD_REQUEST', `${what}; clearway restore --help tells how.`);
}
