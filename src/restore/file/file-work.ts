import { ClearwayError, errorInfo } from '../../contracts/errors.ts';
import type { FileCommand, FileEvent } from '../../contracts/file.ts';
import { type RestoringParts, restoreFile } from './restore-file.ts';

/** The files that this restorer works on, by the gateway's numbers. */
export class FileWork {
  private readonly parts: RestoringParts;
  private readonly send: (event: FileEvent) => void;
  private readonly running = new Map<number, { abort: AbortController; ended: Promise<void> }>();

  constructor(parts: RestoringParts, send: (event: FileEvent) => void) {
    this.parts = parts;
    this.send = send;
  }

  perform(command: FileCommand): void {
    if (command.t === 'file-cancel') this.cancel(command.id);
    else {
      const { id } = command;
      const abort = new AbortController();
      const ended = this.restore(command, abort.signal).finally(() => this.running.delete(id));
      this.running.set(id, { abort, ended });
    }
  }

  /** Gives every file up, for another restorer to take; resolves when nothing is left of them. */
  async stop(): Promise<void> {
    const reason = new ClearwayError(
      'CLEARWAY_RESTORER_DOWN',
      'The restorer was ended while it restored the file.',
      { retryable: true },
    );
    const running = [...this.running.values()];
    for (const { abort } of running) abort.abort(reason);
    await Promise.all(running.map(({ ended }) => ended));
  }

  private cancel(id: number): void {
    const reason = new ClearwayError('CLEARWAY_JOB_CANCELLED', 'Restoring the file was cancelled.');
    this.running.get(id)?.abort.abort(reason);
  }

  private async restore(
    { id, request }: Extract<FileCommand, { t: 'file' }>,
    signal: AbortSignal,
  ): Promise<void> {
    try {
      const onProgress = (progress: Extract<FileEvent, { t: 'file-progress' }>['progress']) =>
        this.send({ t: 'file-progress', id, progress });
      const result = await restoreFile(request, this.parts, { signal, onProgress });
      this.send({ t: 'file-done', id, result });
    } catch (error) {
      this.send({ t: 'file-failed', id, error: errorInfo(error) });
    }
  }
}
