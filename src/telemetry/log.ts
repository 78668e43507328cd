import pino, { type Logger } from 'pino';

export type { Logger };

const CREDENTIALS = /([a-z][a-z0-9+.-]*:\/\/)([^/@\s]+)@/gi;
const SECRET_QUERY = /([?&](?:key|token|pass|passwd|password|pwd|secret|auth|signature|sig)=)[^&\s"']+/gi;

/** Removes user info and secret query values from every URL in a text. */
export function redact(text: string): string {
  return text.replace(CREDENTIALS, '$1***@').replace(SECRET_QUERY, '$1***');
}

export interface LogOptions {
  level: string;
  format: 'auto' | 'json' | 'pretty';
  /** Fields on every line, e.g. which process speaks. */
  base?: Record<string, unknown>;
}

/** The process's root logger: JSON lines on stdout, pretty on a terminal, every string redacted. */
export function createLogger(options: LogOptions): Logger {
  const pretty = options.format === 'pretty' || (options.format === 'auto' && process.stdout.isTTY);
  return pino({
    level: options.level,
    base: options.base ?? {},
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: { streamWrite: redact },
    ...(pretty
      ? {
          transport: {
            target: 'pino-pretty',
            options: { translateTime: 'HH:MM:ss.l', ignore: 'pid,hostname' },
          },
        }
      : {}),
  });
}

/** A logger that says nothing, for tests and tools. */
export const silentLogger: Logger = pino({ level: 'silent' });
