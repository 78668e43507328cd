import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { ClearwayError } from '../contracts/errors.ts';
import type { SourceSpec } from '../contracts/restorer.ts';
import type { Logger } from '../telemetry/log.ts';
import { redact } from '../telemetry/redact.ts';
import type { DecoderHandlers, DecoderOptions } from './decoder-process.ts';
import type { DecoderCommand, DecoderEvent } from './decoder-thread.ts';
import { ffmpegPath } from './ffmpeg.ts';

/** An open source, whose child and pipes belong to a thread. */
export interface Decoder extends AsyncDisposable {
  /** Scales the pictures to at most so many lines from now on, without opening the source again. */
  setHeight(height: number): void;
  /** Ends the child and everything it started; resolves when it is gone. No handler is called from now on. */
  stop(): Promise<void>;
}

/** A thread reads about ten streams of 1080p at 25 fps (test/bench/decode-read.ts); the other cores decode and encode. */
const THREADS = Math.min(4, Math.max(1, Math.floor(availableParallelism() / 4)));

const threads = new Set<DecoderThread>();
let nextId = 1;

/**
 * Opens a source in an ffmpeg child and hands over its frames, audio and packets as they come. The raw pictures (78 MB
 * a second of 1080p) are read in a thread; here a finished one arrives, and a buffer from `allocate` goes back for it.
 */
export function openDecoder(
  spec: SourceSpec,
  options: DecoderOptions & { logger: Logger },
  handlers: DecoderHandlers,
): Decoder {
  const [least] = [...threads].sort((a, b) => a.size - b.size);
  const thread = !least || (least.size > 0 && threads.size < THREADS) ? new DecoderThread() : least;
  const { logger, ...rest } = options;
  return thread.open(
    spec,
    { ffmpegPath: ffmpegPath(), ...rest },
    {
      ...handlers,
      ended(end) {
        for (const text of end.problems) logger.debug({ source: redact(spec.url) }, text);
        handlers.ended(end);
      },
    },
  );
}

class DecoderThread {
  private readonly worker = new Worker(new URL('./decoder-thread.ts', import.meta.url));
  private readonly handlers = new Map<number, DecoderHandlers>();
  private readonly stopping = new Map<number, () => void>();

  constructor() {
    threads.add(this);
    this.worker.on('message', (event: DecoderEvent) => this.receive(event));
    this.worker.on('error', (error) => this.lost(error));
    this.worker.unref();
  }

  /** Decoders that are open. */
  get size(): number {
    return this.handlers.size + this.stopping.size;
  }

  open(spec: SourceSpec, options: DecoderOptions, handlers: DecoderHandlers): Decoder {
    const id = nextId++;
    this.handlers.set(id, handlers);
    this.worker.ref();
    this.post({ t: 'open', id, spec, options });
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= this.stop(id);
      return stopped;
    };
    return {
      setHeight: (height) => this.post({ t: 'height', id, height }),
      stop,
      [Symbol.asyncDispose]: stop,
    };
  }

  private async stop(id: number): Promise<void> {
    if (!this.handlers.delete(id)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.stopping.set(id, resolve);
    this.post({ t: 'stop', id });
    await promise;
  }

  private receive(event: DecoderEvent): void {
    const { id } = event;
    if (event.t === 'stopped') {
      this.stopping.get(id)?.();
      this.stopping.delete(id);
      this.rest();
      return;
    }
    const handlers = this.handlers.get(id);
    if (!handlers) return;
    switch (event.t) {
      case 'opened':
        handlers.opened(event.info);
        break;
      case 'packet':
        handlers.packet?.(event.packet);
        break;
      case 'audio':
        handlers.audio?.(event.audio);
        break;
      case 'hardwareFailed':
        handlers.hardwareFailed?.(event.why);
        break;
      case 'frame': {
        const { frame } = event;
        const other = handlers.allocate(frame.data.byteLength);
        const buffer = (other ?? frame.data).buffer as ArrayBuffer;
        if (other) handlers.frame(frame);
        else handlers.dropped();
        this.post({ t: 'buffer', id, buffer }, [buffer]);
        break;
      }
      case 'ended': {
        const { problems, again } = event;
        const { code, message, retryable } = event.error;
        this.handlers.delete(id);
        this.rest();
        handlers.ended({
          error: new ClearwayError(code, message, { retryable }),
          problems,
          ...(again ? { again } : {}),
        });
      }
    }
  }

  /** A thread without decoders keeps no process alive. */
  private rest(): void {
    if (this.size === 0) this.worker.unref();
  }

  /** The kernel ends the children with the thread that started them. */
  private lost(cause: unknown): void {
    threads.delete(this);
    for (const resolve of this.stopping.values()) resolve();
    const ended = [...this.handlers.values()];
    this.handlers.clear();
    this.stopping.clear();
    const error = new ClearwayError('CLEARWAY_INTERNAL', `the thread that read this source died: ${cause}`, {
      retryable: true,
      cause,
    });
    for (const handlers of ended) handlers.ended({ error, problems: [] });
  }

  private post(command: DecoderCommand, transfer: ArrayBuffer[] = []): void {
    this.worker.postMessage(command, transfer);
  }
}
