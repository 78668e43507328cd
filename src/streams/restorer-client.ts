import { type ChildProcess, fork } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { errorInfo } from '../contracts/errors.ts';
import type { FileCommand, FileEvent } from '../contracts/file.ts';
import type {
  HardwareEncoderName,
  ProviderStatus,
  RestorerCommand,
  RestorerEvent,
  RestorerFacts,
} from '../contracts/restorer.ts';
import type { RestorerOptions } from '../restore/restorer-process.ts';
import type { Logger } from '../telemetry/log.ts';
import { Deaths } from './deaths.ts';

/** Waits before a restart while it keeps crashing, ms; after a first crash there is none. */
const RESTART_LEAST = 100;
const RESTART_MOST = 10_000;
/** A restorer that lived so long was sound: the next restart is quick again, ms. */
const SOUND = 30_000;
/** Without a sign of life for so long it is killed, ms; opening and timing the models may take longer. */
const SILENT = 10_000;
const SILENT_AT_START = 120_000;
const STOP_GRACE = 3000;
/** Where Node keeps what it compiled for the next restorer, unless the environment names another place. */
const COMPILE_CACHE = fileURLToPath(new URL('../../node_modules/.cache/clearway', import.meta.url));

/** Pictures encoded at the same time: each waits in a thread of libuv's pool, of which there are four otherwise. */
const POOL = String(Math.max(4, availableParallelism()));

interface RestorerEvents {
  event: [event: Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' }>];
  file: [event: FileEvent];
  /** It takes commands; one that was restarted may have to open its models yet, and passes frames through until then. */
  ready: [facts: RestorerFacts];
  /** Its models are open. */
  opened: [facts: RestorerFacts];
  /** It died, or was ended to be started anew: the next one follows. */
  down: [cause: string];
  /** Its process is gone, however it ended: what it was doing is lost. */
  gone: [cause: string];
}

/** The gateway's end of the restorer process: forks it, listens to it, and starts it again when it dies or hangs. */
export class RestorerClient extends EventEmitter<RestorerEvents> {
  readonly options: RestorerOptions;
  private readonly logger: Logger;
  private child: ChildProcess | undefined;
  /** What the last that opened its models found: the next goes on from there. */
  private found: RestorerFacts | undefined;
  private takesCommands = false;
  private opened = false;
  /** It was given a stream, which it decodes and encodes. */
  private streaming = false;
  /** It was ended because it gave no sign of life. */
  private silent = false;
  /** The last died while it opened its models and had streams: the next opens them first. */
  private openAlone = false;
  /** The provider last heard of: opened, or about to be. */
  private provider: ProviderStatus['provider'] | undefined;
  /** The hardware encoder that it uses, or is about to open. */
  private encoder: HardwareEncoderName | undefined;
  private readonly deaths = new Deaths();
  private readonly encoderDeaths = new Deaths<HardwareEncoderName>();
  private readonly laneDeaths = new Deaths<'another'>();
  /** It opens its models in another lane. */
  private widening = false;
  private restartAfter = 0;
  private startedAt = 0;
  private watchdog: NodeJS.Timeout | undefined;
  private restart: NodeJS.Timeout | undefined;
  private closing = false;
  /** Why it is being ended and started anew, if it is. */
  private renewing: string | undefined;
  restarts = 0;

  constructor(options: RestorerOptions, logger: Logger) {
    super();
    this.options = options;
    this.logger = logger;
  }

  /** What the running restorer can do, or could before it was restarted; undefined while it takes no commands. */
  get ready(): RestorerFacts | undefined {
    return this.takesCommands ? this.found : undefined;
  }

  get pid(): number | undefined {
    return this.child?.pid;
  }

  start(): void {
    this.startedAt = performance.now();
    this.streaming = this.silent = this.widening = false;
    this.encoder = undefined;
    let child: ChildProcess;
    try {
      child = fork(
        new URL('../restore/restorer-process.ts', import.meta.url),
        [JSON.stringify({ ...this.options, ...this.learnt() })],
        {
          serialization: 'advanced',
          execArgv: [],
          env: { NODE_COMPILE_CACHE: COMPILE_CACHE, UV_THREADPOOL_SIZE: POOL, ...process.env },
        },
      );
    } catch (error) {
      // Node throws some reasons (no memory) and tells others by an event.
      this.child = undefined;
      this.died(`cannot be started: ${errorInfo(error).message}`);
      return;
    }
    this.child = child;
    this.expectLife(SILENT_AT_START);
    child.on('message', (event: RestorerEvent | FileEvent) => this.receive(event));
    child.once('exit', (code, signal) => this.died(signal ? `killed by ${signal}` : `exit code ${code}`));
    child.on('error', (error) => {
      this.logger.error({ err: error }, 'restorer process');
      // One that could not be started (no memory, no processes left) never exits.
      if (child.pid === undefined) this.died(`cannot be started: ${error.message}`);
    });
  }

  /** Sends a command; lost when the restorer is down, since everything is told again once it is ready. */
  send(command: RestorerCommand | FileCommand): void {
    if (!this.takesCommands || !this.child?.connected) return;
    this.streaming ||= command.t === 'start';
    this.child.send(command);
  }

  /** From which level the restorer logs from now on, and those that are started after it. */
  logFrom(level: string): void {
    this.options.log = { ...this.options.log, level };
    this.send({ t: 'log', level });
  }

  async close(): Promise<void> {
    this.closing = true;
    clearTimeout(this.restart);
    clearTimeout(this.watchdog);
    const { child, takesCommands } = this;
    this.takesCommands = false;
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return;
    // One that still times its models does not listen yet, and holds nothing that has to be ended in order.
    if (!takesCommands) child.kill('SIGKILL');
    await end(child);
  }

  /** Ends the restorer in order and starts it at once on a provider that works again; lost when it is down. */
  renewOn(provider: ProviderStatus['provider']): void {
    if (!this.opened || !this.child) return;
    this.deaths.forgive(provider);
    this.renewing = `${provider} works again`;
    this.takesCommands = false;
    void end(this.child);
  }

  private receive(event: RestorerEvent | FileEvent): void {
    if (isFileEvent(event)) {
      this.emit('file', event);
      return;
    }
    if (this.closing) return;
    if (event.t === 'opened') {
      this.opened = true;
      this.openAlone = false;
    }
    // A driver that hangs while the models are opened leaves the rest of the process alive.
    if (this.opened) this.expectLife(SILENT);
    else if (event.t === 'trying') this.expectLife(SILENT_AT_START);
    switch (event.t) {
      case 'trying':
        if ('lane' in event) this.widening = event.lane;
        else if ('encoder' in event) this.encoder = event.encoder;
        else this.provider = event.provider;
        break;
      case 'opened': {
        const { t, ...facts } = event;
        this.found = facts;
        this.encoder = facts.encoder;
        this.report(facts);
        this.emit('opened', facts);
        break;
      }
      case 'ready':
        this.takesCommands = true;
        // It may have changed since this one was started.
        this.logFrom(this.options.log.level);
        this.emit('ready', this.found!);
        break;
      case 'alive':
        break;
      default:
        this.emit('event', event);
    }
  }

  /** What earlier restorers showed. */
  private learnt(): Partial<RestorerOptions> {
    const avoid = [...(this.options.avoid ?? []), ...this.deaths.avoid(performance.now())];
    const avoidEncoders = this.encoderDeaths.avoid(performance.now());
    return {
      ...(this.found && { known: this.found }),
      ...(this.openAlone && { alone: true }),
      ...(avoid.length > 0 && { avoid }),
      ...(avoidEncoders.length > 0 && { avoidEncoders }),
      ...(this.laneDeaths.avoid(performance.now()).length > 0 && { lanes: 1 }),
    };
  }

  /** Names each provider that did not work although it was tried before the one that does. */
  private report({ provider, providers, lanes }: RestorerFacts): void {
    this.provider = provider;
    for (const { provider: tried, works, detail } of providers) {
      if (works) continue;
      // Without one asked for, a host without a GPU is nothing to warn of.
      const level = this.options.provider === 'auto' ? 'info' : 'warn';
      this.logger[level]({ provider: tried, detail }, 'inference provider does not work here');
    }
    this.logger.info({ provider, lanes }, 'inference provider');
  }

  private expectLife(within: number): void {
    clearTimeout(this.watchdog);
    this.watchdog = setTimeout(() => {
      this.logger.error({ pid: this.pid }, 'the restorer gives no sign of life; restarting it');
      this.silent = true;
      this.child?.kill('SIGKILL');
    }, within);
  }

  private died(cause: string): void {
    clearTimeout(this.watchdog);
    const { opened } = this;
    this.opened = this.takesCommands = false;
    this.emit('gone', cause);
    if (this.closing) return;
    if (this.renewing !== undefined) {
      this.emit('down', this.renewing);
      this.renewing = undefined;
      this.start();
      return;
    }
    // An encoder of a stream's may have crashed as well as what was tried; one that hangs does not end like this.
    const tried = this.encoder ?? this.provider;
    this.openAlone = !opened && tried !== 'cpu' && this.streaming && !this.silent;
    if (!this.openAlone) this.blame(!opened, cause);
    this.provider = undefined;
    if (performance.now() - this.startedAt > SOUND) this.restartAfter = 0;
    this.restarts++;
    this.logger.error(
      { cause, device: this.options.device, restartInMs: this.restartAfter },
      'restorer died',
    );
    this.emit('down', cause);
    this.restart = setTimeout(() => this.start(), this.restartAfter);
    this.restartAfter = Math.min(Math.max(RESTART_LEAST, this.restartAfter * 2), RESTART_MOST);
  }

  /**
   * While another lane is opened that is to blame, and beside a hardware encoder the provider is innocent until it dies
   * without one.
   */
  private blame(opening: boolean, cause: string): void {
    const { encoder } = this;
    const at = performance.now();
    if (this.widening) {
      this.laneDeaths.note('another', true, at);
      this.logger.error(
        { cause },
        'opening another lane took the restorer down: it does with one for a while',
      );
    } else if (encoder) {
      if (this.encoderDeaths.note(encoder, opening, at))
        this.logger.error(
          { encoder, cause },
          'this encoder took the restorer down: it is left out for a while',
        );
    } else if (this.provider && this.deaths.note(this.provider, opening, at))
      this.logger.error(
        { provider: this.provider, cause },
        'this provider took the restorer down: it is left out for a while',
      );
  }
}

/** Asks a restorer to end, and ends it by force when that takes too long. */
async function end(child: ChildProcess): Promise<void> {
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  // One that is dying already cannot be told any more (EPIPE): only its exit counts.
  if (child.connected) child.send({ t: 'shutdown' } satisfies RestorerCommand, () => {});
  const kill = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE);
  await exited;
  clearTimeout(kill);
}

function isFileEvent(event: RestorerEvent | FileEvent): event is FileEvent {
  return event.t === 'file-progress' || event.t === 'file-done' || event.t === 'file-failed';
}
