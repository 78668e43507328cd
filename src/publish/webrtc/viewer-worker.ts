import { EventEmitter } from 'node:events';
import { Worker } from 'node:worker_threads';
import { ClearwayError } from '../../contracts/errors.ts';
import type { SentUnit, ViewerReport, WorkerCommand, WorkerEvent, WorkerOptions } from './messages.ts';
import { PORTS_PER_VIEWER } from './ports.ts';

type Call = Extract<WorkerCommand, { call: number }>;
type WithoutCall<T> = T extends unknown ? Omit<T, 'call'> : never;

/** Media messages a worker may be behind before pictures are left out until it has caught up. */
const MAX_BEHIND = 256;
/** A worker that says nothing for this long (it reports every second) is ended and replaced, ms. */
const SILENCE = 15_000;
/** Time for a worker to close its connections at shutdown, ms. */
const SHUTDOWN_TIMEOUT = 2000;

export interface ViewerWorkerEvents {
  connected: [id: string];
  closed: [id: string, cause: string];
  keyframe: [feed: number];
  report: [viewers: ViewerReport[]];
  sent: [units: SentUnit[]];
  warning: [message: string];
  /** The thread is gone, and its viewers with it. */
  died: [cause: string];
}

/** The gateway's handle on one worker thread and the viewers it hosts. */
export class ViewerWorker extends EventEmitter<ViewerWorkerEvents> {
  /** Sessions this worker hosts, closing ones included: their ports are still taken. */
  readonly sessions = new Set<string>();
  readonly capacity: number;
  readonly options: WorkerOptions;
  readonly #worker: Worker;
  readonly #calls = new Map<number, PromiseWithResolvers<string>>();
  readonly #exited = Promise.withResolvers<void>();
  #nextCall = 0;
  #behind = 0;
  /** Feeds whose pictures were left out and that need a keyframe to go on. */
  readonly #skipped = new Set<number>();
  #watchdog: NodeJS.Timeout;
  #ended = false;

  constructor(options: WorkerOptions) {
    super();
    this.options = options;
    const [first, last] = options.ports;
    this.capacity = Math.floor((last - first + 1) / PORTS_PER_VIEWER);
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), { workerData: options });
    this.#worker.on('message', (event: WorkerEvent) => this.#handle(event));
    this.#worker.on('error', (error) => this.#die(error instanceof Error ? error.message : String(error)));
    this.#worker.on('exit', () => {
      this.#die('worker thread exited');
      this.#exited.resolve();
    });
    this.#watchdog = this.#watch();
  }

  get full(): boolean {
    return this.sessions.size >= this.capacity;
  }

  /**
   * Opens a viewer or restarts its ICE.
   * @returns the SDP answer, or the fragment
   * @throws ClearwayError as the worker found it
   */
  call(command: WithoutCall<Call>): Promise<string> {
    const reply = Promise.withResolvers<string>();
    const call = this.#nextCall++;
    this.#calls.set(call, reply);
    this.post({ ...command, call });
    return reply.promise;
  }

  post(command: WorkerCommand): void {
    this.#worker.postMessage(command);
  }

  /** Sends a picture, or leaves it out while the worker is behind; then nothing follows before a keyframe. */
  video(unit: Omit<Extract<WorkerCommand, { t: 'video' }>, 't'>): void {
    const { feed, key } = unit;
    const skipped = this.#skipped.has(feed);
    if (this.#behind >= MAX_BEHIND) {
      if (!skipped) this.post({ t: 'gap', feed });
      this.#skipped.add(feed);
      return;
    }
    if (skipped && !key) {
      this.emit('keyframe', feed);
      return;
    }
    this.#skipped.delete(feed);
    this.#behind++;
    this.post({ t: 'video', ...unit });
  }

  audio(packet: Omit<Extract<WorkerCommand, { t: 'audio' }>, 't'>): void {
    if (this.#behind >= MAX_BEHIND) return;
    this.#behind++;
    this.post({ t: 'audio', ...packet });
  }

  /** Ends the thread now; `died` follows. */
  kill(): void {
    void this.#worker.terminate();
  }

  /** Closes every viewer and ends the thread; no `died` follows. */
  async close(): Promise<void> {
    this.#ended = true;
    clearTimeout(this.#watchdog);
    this.#fail('The gateway is stopping.');
    this.post({ t: 'shutdown' });
    const late = setTimeout(() => this.kill(), SHUTDOWN_TIMEOUT);
    await this.#exited.promise;
    clearTimeout(late);
  }

  #handle(event: WorkerEvent): void {
    this.#watchdog.refresh();
    switch (event.t) {
      case 'opened':
        this.#settle(event.call)?.resolve(event.answer);
        return;
      case 'restarted':
        this.#settle(event.call)?.resolve(event.fragment);
        return;
      case 'failed': {
        const { code, message, ...options } = event.error;
        this.#settle(event.call)?.reject(new ClearwayError(code, message, options));
        return;
      }
      case 'connected':
        this.emit('connected', event.id);
        return;
      case 'closed':
        this.sessions.delete(event.id);
        this.emit('closed', event.id, event.cause);
        return;
      case 'keyframe':
        this.emit('keyframe', event.feed);
        return;
      case 'ack':
        this.#behind -= event.count;
        this.emit('sent', event.sent);
        return;
      case 'report':
        this.emit('report', event.viewers);
        return;
      case 'warning':
        this.emit('warning', event.message);
    }
  }

  #settle(call: number): PromiseWithResolvers<string> | undefined {
    const reply = this.#calls.get(call);
    this.#calls.delete(call);
    return reply;
  }

  #watch(): NodeJS.Timeout {
    return setTimeout(() => this.kill(), SILENCE).unref();
  }

  #die(cause: string): void {
    clearTimeout(this.#watchdog);
    if (this.#ended) return;
    this.#ended = true;
    this.#fail('The thread that serves this viewer has failed; connect again.');
    this.emit('died', cause);
  }

  #fail(message: string): void {
    for (const { reject } of this.#calls.values()) {
      reject(
        new ClearwayError('CLEARWAY_INTERNAL', message, { status: 503, retryable: true, retryAfter: 1 }),
      );
    }
    this.#calls.clear();
  }
}
