import type { DetailedError, Upload as TusUpload } from 'tus-js-client';
import { ApiError, problemFrom } from '../core/api.ts';
import { part } from '../core/part.ts';

const ENDPOINT = '/restore/uploads';
/** One request's worth: a proxy in between need not hold more. */
const CHUNK = 64 * 2 ** 20;
/** Ten minutes of a gateway that is away; each piece that arrives begins them anew. */
const RETRY_DELAYS = [500, 1_000, 2_000, 5_000, ...Array.from({ length: 60 }, () => 10_000)];

export interface UploadHandlers {
  /** Bytes the gateway has. */
  progress(sent: number): void;
  /** The connection failed and is tried again by itself. */
  retrying(): void;
  /** All of it is there; `id` names it. */
  done(id: string): void;
  failed(error: ApiError): void;
}

/** What a failed request says, as every other failed request does. */
function problem(error: Error | DetailedError): ApiError {
  const response = 'originalResponse' in error ? error.originalResponse : null;
  if (response === null) return new ApiError(0, 'UNREACHABLE', 'The gateway does not answer.');
  return problemFrom(response.getStatus(), response.getBody());
}

/**
 * Sends a file by tus 1.0, resumable: after a lost connection, a pause or, when the same file is chosen again, after a
 * reload it goes on where it stopped.
 */
export class Upload {
  readonly #file: File;
  readonly #handlers: UploadHandlers;
  #tus: Promise<TusUpload> | undefined;

  constructor(file: File, handlers: UploadHandlers) {
    this.#file = file;
    this.#handlers = handlers;
  }

  /** Begins, or goes on after a pause. */
  start(): void {
    const fresh = this.#tus === undefined;
    this.#tus ??= this.#create();
    this.#tus.then(
      async (tus) => {
        if (fresh) {
          const [previous] = await tus.findPreviousUploads();
          if (previous) tus.resumeFromPreviousUpload(previous);
        }
        tus.start();
      },
      (error: ApiError) => {
        this.#tus = undefined;
        this.#handlers.failed(error);
      },
    );
  }

  pause(): void {
    void this.#tus?.then((tus) => tus.abort());
  }

  /** Ends it; the gateway drops what it has. */
  cancel(): void {
    this.#tus?.then((tus) => tus.abort(true)).catch(() => undefined);
  }

  async #create(): Promise<TusUpload> {
    // Loaded when the first file is chosen: most pages only watch.
    const { Upload: Tus } = await part(() => import('tus-js-client'));
    const file = this.#file;
    const handlers = this.#handlers;
    const tus = new Tus(file, {
      endpoint: ENDPOINT,
      chunkSize: CHUNK,
      retryDelays: RETRY_DELAYS,
      metadata: { filename: file.name, ...(file.type === '' ? {} : { filetype: file.type }) },
      removeFingerprintOnSuccess: true,
      onProgress: (sent) => handlers.progress(sent),
      onShouldRetry: (error) => {
        const status = error.originalResponse?.getStatus() ?? 0;
        // 409 and 423: the piece before is still being written.
        const again = status === 0 || status >= 500 || [409, 423, 429].includes(status);
        if (!again || status === 507) return false;
        handlers.retrying();
        void this.#checkFile(tus);
        return true;
      },
      onSuccess: () => handlers.done(tus.url?.split('/').at(-1) ?? ''),
      onError: (error) => handlers.failed(problem(error)),
    });
    return tus;
  }

  /** A file that was moved or changed since fails as a lost connection does. */
  async #checkFile(tus: TusUpload): Promise<void> {
    try {
      await this.#file.slice(0, 1).arrayBuffer();
    } catch {
      await tus.abort();
      const why = 'The file cannot be read any more: it was moved or changed. Choose it again.';
      this.#handlers.failed(new ApiError(422, 'CLEARWAY_UPLOAD_INCOMPLETE', why));
    }
  }
}
