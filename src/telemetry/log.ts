import { Writable } from 'node:stream';
import pino, { type DestinationStream, type Logger } from 'pino';
import pretty from 'pino-pretty';
import { redact } from './redact.ts';

export type { Logger };

/** What a terminal would obey, in a line of JSON: control characters raw or escaped, line feeds and tabs excepted. */
const CONTROLS = /\\(?:u00[01][0-9a-f]|[bfr\\])|[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/** A line of JSON of which a terminal shows everything. Text that came from elsewhere must not colour, clear or reorder. */
function visible(json: string): string {
  return json.replace(CONTROLS, (found) => (found === '\\\\' ? found : '?'));
}

/** Bytes of lines that wait for room on the disk. */
const MOST_UNWRITTEN = 1 << 20;

export interface LogOptions {
  level: string;
  format: 'auto' | 'json' | 'pretty';
  /** Fields on every line, e.g. which process speaks. */
  base?: Record<string, unknown>;
}

/**
 * The process's root logger: JSON lines, pretty on a terminal, every string redacted.
 * `destination` is stdout unless given.
 */
export function createLogger(options: LogOptions, destination?: DestinationStream): Logger {
  const wantsPretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  const out = destination ?? standardOutput();
  const sink = wantsPretty
    ? pretty({
        translateTime: 'HH:MM:ss.l',
        ignore: 'pid,hostname',
        // pino-pretty would end at the first error of what it writes to.
        destination: destination ?? writing(out),
        ...(destination ? { colorize: false } : {}),
      })
    : out;
  return pino(
    {
      level: options.level,
      base: options.base ?? {},
      timestamp: pino.stdTimeFunctions.isoTime,
      hooks: { streamWrite: wantsPretty ? (json) => visible(redact(json)) : redact },
    },
    sink,
  );
}

/** What cannot be written, on a full disk for one, waits for the next line or is left out; the streams go on. */
function standardOutput(): DestinationStream {
  const out = pino.destination({ dest: 1, sync: true, maxLength: MOST_UNWRITTEN });
  out.on('error', () => {});
  return out;
}

function writing(out: DestinationStream): Writable {
  return new Writable({
    decodeStrings: false,
    write(text: string, _encoding, done) {
      out.write(text);
      done();
    },
  });
}

/** A logger that says nothing, for tests and tools. */
export const silentLogger: Logger = pino({ level: 'silent' });
