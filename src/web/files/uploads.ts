import type { JobStatus } from '../../contracts/jobs.ts';
import { ApiError, api, type FileChoices } from '../core/api.ts';
import { uid } from '../core/dom.ts';
import { bytes } from '../core/format.ts';
import { Rate } from './rate.ts';
import { Upload } from './upload.ts';

/**
 * `retrying`: the connection is lost and sought again; `handing`: all is there, the gateway looks at it; `refused`:
 * over, unless `retryable`.
 */
export type SendingState = 'waiting' | 'sending' | 'retrying' | 'paused' | 'handing' | 'refused';

/** A file on its way to the gateway. */
export interface Sending {
  readonly id: string;
  readonly name: string;
  /** Bytes, as are the next two. */
  readonly size: number;
  readonly sent: number;
  readonly speed: number | undefined;
  readonly state: SendingState;
  readonly error: ApiError | undefined;
}

interface Item extends Sending {
  readonly file: File;
  readonly choices: FileChoices;
  readonly upload: Upload;
  readonly rate: Rate;
  /** Name of the complete upload on the gateway. */
  uploaded: string | undefined;
  sent: number;
  speed: number | undefined;
  state: SendingState;
  error: ApiError | undefined;
}

export interface UploadsHandlers {
  /** The gateway took a file: it is a job now. */
  accepted(job: JobStatus): void;
  /** The gateway wants to know who asks. */
  signedOut(): void;
}

const ON_ITS_WAY: SendingState[] = ['sending', 'retrying', 'handing'];

/** Files on their way to the gateway, one after the other, whatever view is open. */
export class Uploads {
  readonly #handlers: UploadsHandlers;
  readonly #items: Item[] = [];
  readonly #listeners = new Set<() => void>();

  constructor(handlers: UploadsHandlers) {
    this.#handlers = handlers;
    addEventListener('beforeunload', (event) => {
      if (this.#items.some(({ state }) => state !== 'refused' && state !== 'paused')) event.preventDefault();
    });
  }

  list(): readonly Sending[] {
    return this.#items;
  }

  /** Calls `listener` after every change until `signal` aborts. */
  watch(listener: () => void, signal: AbortSignal): void {
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener));
  }

  /** Queues a file; `maxUpload` in bytes. */
  add(file: File, choices: FileChoices, maxUpload: number): void {
    const item: Item = {
      id: uid('sending'),
      name: file.name,
      size: file.size,
      file,
      choices,
      rate: new Rate(),
      uploaded: undefined,
      sent: 0,
      speed: undefined,
      state: 'waiting',
      error: undefined,
      upload: new Upload(file, {
        progress: (sent) => {
          item.state = 'sending';
          item.sent = sent;
          item.speed = item.rate.at(performance.now(), sent);
          this.#changed();
        },
        retrying: () => {
          item.state = 'retrying';
          this.#changed();
        },
        done: (id) => {
          item.uploaded = id;
          item.sent = item.size;
          void this.#handOver(item);
        },
        failed: (error) => this.#fail(item, error),
      }),
    };
    const refusal = unfit(file, maxUpload);
    if (refusal) {
      item.state = 'refused';
      item.error = refusal;
    }
    this.#items.push(item);
    this.#next();
  }

  pause(id: string): void {
    const item = this.#find(id);
    if (!item || item.state === 'handing') return;
    item.upload.pause();
    item.state = 'paused';
    item.speed = undefined;
    this.#next();
  }

  /** Goes on with one that is paused, or tries one again that failed. */
  resume(id: string): void {
    const item = this.#find(id);
    if (!item) return;
    item.error = undefined;
    item.rate.reset();
    item.state = 'waiting';
    this.#next();
  }

  /** Gives a file up and forgets it. */
  cancel(id: string): void {
    const item = this.#find(id);
    if (!item || item.state === 'handing') return;
    if (item.state !== 'refused') item.upload.cancel();
    this.#remove(item);
  }

  /** Gives all up, as for another person. */
  reset(): void {
    for (const { upload, state } of this.#items.splice(0)) if (state !== 'refused') upload.cancel();
    this.#changed();
  }

  #find(id: string): Item | undefined {
    return this.#items.find((item) => item.id === id);
  }

  #remove(item: Item): void {
    const index = this.#items.indexOf(item);
    if (index >= 0) this.#items.splice(index, 1);
    this.#next();
  }

  #next(): void {
    const busy = this.#items.some(({ state }) => ON_ITS_WAY.includes(state));
    const item = busy ? undefined : this.#items.find(({ state }) => state === 'waiting');
    if (item) {
      item.state = 'sending';
      if (item.uploaded === undefined) item.upload.start();
      else void this.#handOver(item);
    }
    this.#changed();
  }

  async #handOver(item: Item): Promise<void> {
    item.state = 'handing';
    this.#changed();
    try {
      const job = await api.restore({ upload: item.uploaded!, name: item.name, ...item.choices });
      this.#remove(item);
      this.#handlers.accepted(job);
    } catch (error) {
      this.#fail(item, error instanceof ApiError ? error : new ApiError(0, 'UNREACHABLE', String(error)));
    }
  }

  #fail(item: Item, error: ApiError): void {
    item.state = 'refused';
    item.error = error;
    item.speed = undefined;
    if (error.status === 401) this.#handlers.signedOut();
    // The gateway knows of it no more: what is tried again begins anew.
    if (error.code === 'CLEARWAY_UPLOAD_NOT_FOUND') item.uploaded = undefined;
    this.#next();
  }

  #changed(): void {
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Why a file need not be sent at all. */
function unfit({ size }: File, maxUpload: number): ApiError | undefined {
  if (size === 0) return new ApiError(422, 'CLEARWAY_SOURCE_NOT_VIDEO', 'The file is empty.');
  if (size <= maxUpload) return undefined;
  const most = `This gateway takes at most ${bytes(maxUpload)}`;
  return new ApiError(
    413,
    'CLEARWAY_PAYLOAD_TOO_LARGE',
    `The file has ${bytes(size)}. ${most}; jobs.maxUpload in clearway.yml changes that.`,
  );
}

/** Whether trying the same file again may work. */
export function mayWorkLater({ status }: ApiError): boolean {
  return status === 0 || status === 401 || status === 404 || status === 429 || status >= 500;
}
