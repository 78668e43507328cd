import { h, uid } from '../core/dom.ts';
import { icon } from '../core/icons.ts';

/** Suggestions for the file dialog only: what a file is, the gateway finds by looking into it. */
const ACCEPT = 'video/*,.mkv,.ts,.mts,.m2ts,.avi,.flv,.vob,.mxf,.wmv,.3gp,.h264,.hevc';

export interface DropZoneHandlers {
  files(files: File[]): void;
  /** Something was dropped that is no file. */
  odd(why: string): void;
}

/** Where files are dropped or chosen. While it is on the page, files may be dropped anywhere on it. */
export class DropZone {
  readonly element: HTMLElement;
  readonly #handlers: DropZoneHandlers;
  readonly #hint = h('p', { class: 'hint', id: uid('drop') });
  readonly #abort = new AbortController();
  /** Elements the pointer is over with files, from outermost to innermost. */
  #depth = 0;

  constructor(handlers: DropZoneHandlers) {
    this.#handlers = handlers;
    const input = h('input', {
      type: 'file',
      class: 'sr',
      multiple: true,
      accept: ACCEPT,
      tabindex: -1,
      'aria-label': 'Videos to restore',
    });
    input.addEventListener('change', () => {
      handlers.files([...(input.files ?? [])]);
      // The same file may be chosen again.
      input.value = '';
    });
    const choose = h(
      'button',
      {
        class: 'button primary',
        type: 'button',
        'aria-describedby': this.#hint.id,
        onclick: () => input.click(),
      },
      icon('upload'),
      'Choose videos',
    );
    this.element = h(
      'section',
      { class: 'drop', 'aria-label': 'Add videos' },
      // Fingers do not drop files.
      h(
        'b',
        { class: 'drop-title' },
        matchMedia('(hover: none)').matches ? 'Restore videos' : 'Drop videos here',
      ),
      h(
        'p',
        { class: 'drop-intro' },
        'The engine that restores the cameras restores them frame by frame. Sound, subtitles and chapters stay.',
      ),
      this.#hint,
      choose,
      input,
    );
    const { signal } = this.#abort;
    document.addEventListener('dragenter', (event) => this.#enter(event), { signal });
    document.addEventListener('dragleave', (event) => this.#leave(event), { signal });
    document.addEventListener('dragover', (event) => hasFiles(event) && event.preventDefault(), { signal });
    document.addEventListener('drop', (event) => this.#drop(event), { signal });
  }

  /** What may be dropped, in words. */
  set hint(text: string) {
    this.#hint.textContent = text;
  }

  close(): void {
    this.#abort.abort();
  }

  #enter(event: DragEvent): void {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.#depth++;
    this.element.dataset.over = '';
  }

  #leave(event: DragEvent): void {
    if (!hasFiles(event)) return;
    this.#depth = Math.max(0, this.#depth - 1);
    if (this.#depth === 0) delete this.element.dataset.over;
  }

  #drop(event: DragEvent): void {
    if (!hasFiles(event)) return;
    event.preventDefault();
    this.#depth = 0;
    delete this.element.dataset.over;
    const files: File[] = [];
    for (const item of event.dataTransfer?.items ?? []) {
      if (item.kind !== 'file') continue;
      const file = item.getAsFile();
      if (item.webkitGetAsEntry()?.isDirectory) {
        this.#handlers.odd(`${file?.name ?? 'That'} is a folder: drop the videos in it.`);
      } else if (file) files.push(file);
    }
    if (files.length > 0) this.#handlers.files(files);
  }
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes('Files') ?? false;
}
