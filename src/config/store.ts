import { EventEmitter } from 'node:events';
import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import type { Logger } from '../telemetry/log.ts';
import { redact } from '../telemetry/redact.ts';
import { writeAtomically } from './atomic-write.ts';
import { assertBindAllowed } from './bind.ts';
import { type ConfigDiff, diffConfig, isEmptyDiff } from './diff.ts';
import { editStream } from './edit.ts';
import { MAX_CONFIG_BYTES, type ParsedConfig, parseConfig, resolveStream } from './parse.ts';
import type { Config, StreamConfig, StreamConfigInput, StreamPatch } from './schema.ts';
import { watchForChange } from './watch.ts';

interface ConfigEvents {
  /** After `current` has changed, once for each write or edit, in order. */
  change: [next: Config, previous: Config, diff: ConfigDiff];
}

function invalid(message: string, cause?: unknown): ClearwayError {
  return new ClearwayError('CLEARWAY_CONFIG_INVALID', message, { status: 400, cause });
}

/** Reads a text file that may be anything: too large, binary, a directory, a pipe, gone. */
async function readConfigFile(path: string): Promise<string> {
  let bytes: Buffer;
  try {
    // Without O_NONBLOCK, opening a pipe nobody writes to would wait for ever.
    const handle = await open(path, 0o4000);
    try {
      const facts = await handle.stat();
      if (!facts.isFile()) throw invalid(`${path} is not a file; name a YAML file.`);
      if (facts.size > MAX_CONFIG_BYTES) {
        throw invalid(
          `${path} is larger than ${MAX_CONFIG_BYTES / 1024} KiB; this is not a Clearway configuration.`,
        );
      }
      bytes = await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (error instanceof ClearwayError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    throw invalid(
      code === 'ENOENT'
        ? `There is no configuration file ${path}: copy config/clearway.yml there, or name another file.`
        : `${path} cannot be read (${code}): let the gateway's user read it.`,
      error,
    );
  }
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.includes('\0')) throw new TypeError('NUL');
    return text;
  } catch (error) {
    throw invalid(`${path} is not UTF-8 text; this is not a Clearway configuration.`, error);
  }
}

/**
 * The configuration file: read, validated, watched and written back. `current` is always a valid configuration; a
 * bad edit is refused, logged with line and reason, and kept in `lastError` until the file is good again.
 */
export class ConfigStore extends EventEmitter<ConfigEvents> {
  readonly path: string;
  readonly #logger: Logger;
  #text: string;
  #parsed: ParsedConfig;
  #lastError: ClearwayError | undefined;
  /** The text `lastError` is about, so that one bad edit is logged once. */
  #refused: string | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #stopWatching: () => void;

  /** Reads `path`; throws CLEARWAY_CONFIG_INVALID or CLEARWAY_BIND_REFUSED. Close it to stop watching. */
  static async open(path: string, logger: Logger): Promise<ConfigStore> {
    const file = resolve(path);
    const text = await readConfigFile(file);
    const parsed = parseConfig(text, path);
    assertBindAllowed(parsed.config);
    return new ConfigStore(file, text, parsed, logger);
  }

  private constructor(path: string, text: string, parsed: ParsedConfig, logger: Logger) {
    super();
    this.path = path;
    this.#text = text;
    this.#parsed = parsed;
    this.#logger = logger;
    this.#stopWatching = watchForChange(path, () => {
      // A refused edit is in `lastError` and in the log.
      this.#inTurn(() => this.#reload()).catch(() => undefined);
    });
  }

  get current(): Config {
    return this.#parsed.config;
  }

  /** Why the file as it is on the disk is not the running configuration. */
  get lastError(): ClearwayError | undefined {
    return this.#lastError;
  }

  /** A stream's full settings: its own over `defaults`. For streams that are not in the file (RTMP `allowAny`). */
  resolveStream(input: StreamConfigInput): StreamConfig {
    return resolveStream(this.#parsed.defaults, input);
  }

  /** Reads the file again now; rejects when it is not valid. Edits are noticed without this. */
  reload(): Promise<void> {
    return this.#inTurn(() => this.#reload());
  }

  /**
   * Adds a stream or changes some of its settings, in the file and in `current`. Resolves once it is on the disk.
   * Rejects, with nothing changed, when the result is not valid or cannot be written.
   */
  setStream(name: string, patch: StreamPatch): Promise<StreamConfig> {
    return this.#inTurn(async () => {
      await this.#write(name, patch);
      return this.current.streams[name]!;
    });
  }

  /** Takes a stream out of the file. One that is not there is no error. */
  removeStream(name: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.current.streams[name] === undefined) return;
      await this.#write(name, undefined);
    });
  }

  close(): void {
    this.#stopWatching();
    this.removeAllListeners();
  }

  /** One reader or writer at a time. */
  #inTurn<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(action);
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #reload(): Promise<void> {
    let text: string | undefined;
    let parsed: ParsedConfig;
    try {
      text = await readConfigFile(this.path);
      if (text === this.#text) {
        if (this.#lastError) this.#logger.info({ config: this.path }, 'configuration is good again');
        this.#lastError = undefined;
        this.#refused = undefined;
        return;
      }
      // Editors empty the file before they write it: that is no wish to be rid of every camera.
      if (text.trim() === '') {
        throw new ClearwayError(
          'CLEARWAY_CONFIG_INVALID',
          `${this.path} is empty, so nothing was changed; write "streams: {}" to have no streams.`,
        );
      }
      parsed = parseConfig(text, this.path);
      assertBindAllowed(parsed.config);
    } catch (error) {
      const { code, message } = errorInfo(error);
      this.#lastError = error instanceof ClearwayError ? error : new ClearwayError(code, message);
      const signature = text ?? message;
      if (this.#refused !== signature) {
        this.#refused = signature;
        this.#logger.error(
          { config: this.path, code, reason: redact(message) },
          'configuration edit refused',
        );
      }
      throw this.#lastError;
    }
    this.#logger.info({ config: this.path }, 'configuration reloaded');
    this.#adopt(text, parsed);
  }

  async #write(name: string, patch: StreamPatch | undefined): Promise<void> {
    // What a person has just saved is taken in first, so that writing does not undo it.
    await this.#reload().catch((error: unknown) => {
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `The configuration file has an error; correct it first, so that your edit is not lost. ${errorInfo(error).message}`,
        { status: 409, retryable: true, cause: error },
      );
    });
    let text: string;
    try {
      text = editStream(this.#text, name, patch);
    } catch (cause) {
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `Stream ${name} is written as a YAML alias, which cannot be changed in place: edit the file by hand.`,
        { status: 409, cause },
      );
    }
    const parsed = parseConfig(text, this.path);
    assertBindAllowed(parsed.config);
    // Who may change this stream need not be allowed to change the rest.
    const { changed, global } = diffConfig(parsed.config, this.current);
    const others = [...changed.map((other) => other.name).filter((other) => other !== name), ...global];
    if (others.length > 0) {
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `This would change ${others.join(', ')} too, by a YAML alias: edit the file by hand.`,
        { status: 409 },
      );
    }
    if (text !== this.#text) await writeAtomically(this.path, text);
    this.#adopt(text, parsed);
  }

  #adopt(text: string, parsed: ParsedConfig): void {
    const previous = this.current;
    this.#text = text;
    this.#parsed = parsed;
    this.#lastError = undefined;
    this.#refused = undefined;
    const diff = diffConfig(parsed.config, previous);
    if (!isEmptyDiff(diff)) this.emit('change', parsed.config, previous, diff);
  }
}
