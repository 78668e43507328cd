import { isOver, type JobStatus } from '../../contracts/jobs.ts';
import { h, setText } from '../core/dom.ts';
import { percent, since } from '../core/format.ts';
import { type IconName, icon } from '../core/icons.ts';
import { mayWorkLater, type Sending } from './uploads.ts';
import { jobLine, orderLine, sendingLine, share } from './words.ts';

/** A bar of progress with its figure; of unknown length while `share` is undefined. */
export class ProgressBar {
  readonly element: HTMLElement;
  readonly #fill = h('i');

  constructor(label: string) {
    this.element = h(
      'div',
      {
        class: 'progress',
        role: 'progressbar',
        'aria-label': label,
        'aria-valuemin': 0,
        'aria-valuemax': 100,
      },
      this.#fill,
    );
  }

  /** `share` 0..1. */
  set(share: number | undefined, text: string): void {
    this.element.dataset.unknown = String(share === undefined);
    this.element.setAttribute('aria-valuetext', text);
    if (share === undefined) this.element.removeAttribute('aria-valuenow');
    else this.element.setAttribute('aria-valuenow', String(Math.floor(share * 100)));
    this.#fill.style.setProperty('--share', `${(share ?? 0) * 100}%`);
  }
}

function action(name: IconName, label: string, file: string, onclick: () => void): HTMLButtonElement {
  return h(
    'button',
    { class: 'icon-button', type: 'button', title: label, onclick },
    icon(name),
    h('span', { class: 'sr' }, `${label}: ${file}`),
  );
}

/** A button that asks once more before it does what cannot be undone. */
export function sureButton(
  name: IconName,
  label: string,
  sure: string,
  file: string,
  act: () => void,
): HTMLButtonElement {
  const text = h('span', { class: 'sr' }, `${label}: ${file}`);
  const button = h('button', { class: 'icon-button', type: 'button', title: label }, icon(name), text);
  const calm = (): void => {
    delete button.dataset.sure;
    button.className = 'icon-button';
    text.className = 'sr';
    setText(text, `${label}: ${file}`);
  };
  button.addEventListener('click', () => {
    if (button.dataset.sure !== undefined) {
      calm();
      return act();
    }
    button.dataset.sure = '';
    button.className = 'button danger';
    text.className = '';
    setText(text, sure);
  });
  button.addEventListener('blur', calm);
  button.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') calm();
  });
  return button;
}

/** What uploads and jobs look alike in. */
class Row {
  readonly element: HTMLElement;
  protected readonly thumb = h('div', { class: 'file-thumb' }, icon('film'));
  protected readonly order = h('p', { class: 'file-order' });
  protected readonly line = h('p', { class: 'file-line' });
  protected readonly figure = h('b', { class: 'file-figure' });
  protected readonly actions = h('div', { class: 'file-actions' });
  protected readonly bar: ProgressBar;
  #shows = '';

  constructor(name: string, title: Node) {
    this.bar = new ProgressBar(`Progress of ${name}`);
    this.element = h(
      'li',
      { class: 'file' },
      this.thumb,
      h(
        'div',
        { class: 'file-text' },
        h('h2', { title: name }, title),
        this.order,
        this.bar.element,
        h('div', { class: 'file-state' }, this.figure, this.line),
      ),
      this.actions,
    );
  }

  close(): void {
    this.element.remove();
  }

  protected progress(share: number | undefined, line: string): void {
    setText(this.figure, share === undefined ? '' : `${percent(Math.floor(share * 100) / 100)} %`);
    this.bar.set(share, line);
  }

  /** Buttons are made anew only when they are others, so that the one with the focus stays. */
  protected setActions(kind: string, make: () => HTMLElement[]): void {
    if (kind === this.#shows) return;
    this.#shows = kind;
    const focused = this.actions.contains(document.activeElement);
    this.actions.replaceChildren(...make());
    if (focused) this.actions.querySelector<HTMLElement>('button, a')?.focus();
  }
}

export interface SendingActions {
  pause(id: string): void;
  resume(id: string): void;
  cancel(id: string): void;
}

/** A file on its way to the gateway. */
export class SendingRow extends Row {
  readonly #do: SendingActions;

  constructor({ name }: Sending, actions: SendingActions) {
    super(name, document.createTextNode(name));
    this.#do = actions;
    this.element.dataset.kind = 'sending';
  }

  update(sending: Sending): void {
    const { id, name, state, sent, size, error } = sending;
    const line = sendingLine(sending);
    this.element.dataset.state = state;
    setText(this.line, line);
    this.line.setAttribute('role', state === 'refused' ? 'alert' : 'none');
    this.bar.element.hidden = state === 'refused' || state === 'waiting';
    const whole = state === 'handing' ? undefined : size > 0 ? sent / size : 0;
    this.progress(state === 'refused' || state === 'waiting' ? undefined : whole, line);
    if (state !== 'refused' && state !== 'waiting') this.bar.set(whole, line);
    const again = error && mayWorkLater(error);
    this.setActions(state === 'refused' && again ? 'again' : state, () => [
      ...(state === 'sending' || state === 'retrying'
        ? [action('pause', 'Pause', name, () => this.#do.pause(id))]
        : []),
      ...(state === 'paused' ? [action('play', 'Go on', name, () => this.#do.resume(id))] : []),
      ...(again
        ? [h('button', { class: 'button', type: 'button', onclick: () => this.#do.resume(id) }, 'Try again')]
        : []),
      ...(state === 'handing'
        ? []
        : [action('close', state === 'refused' ? 'Dismiss' : 'Cancel', name, () => this.#do.cancel(id))]),
    ]);
  }
}

export interface JobActions {
  /** Cancels a job that is not over; removes one that is. */
  end(job: JobStatus): void;
}

/** A job in the list. */
export class JobRow extends Row {
  readonly #do: JobActions;
  readonly #showOwner: (owner: string) => boolean;
  #picture = '';

  constructor(job: JobStatus, showOwner: (owner: string) => boolean, actions: JobActions) {
    super(job.name, h('a', { href: job.urls.compare }, job.name));
    this.#do = actions;
    this.#showOwner = showOwner;
    this.element.dataset.kind = 'job';
  }

  /** `ahead`: files that are restored before it; `now` on the gateway's clock, Unix ms. */
  update(job: JobStatus, ahead: number, now: number): void {
    const { state, name } = job;
    const line = jobLine(job, ahead);
    this.element.dataset.state = state;
    setText(
      this.order,
      [
        orderLine(job),
        this.#showOwner(job.owner) && `by ${job.owner}`,
        `${since(job.finished ?? job.created, now)} ago`,
      ]
        .filter(Boolean)
        .join(' · '),
    );
    setText(this.line, line);
    this.line.title = line;
    const running = state === 'running';
    this.bar.element.hidden = !running;
    this.progress(running ? share(job) : undefined, line);
    this.#showPicture(job);
    this.setActions(state, () => {
      const end = () => this.#do.end(job);
      if (!isOver(job)) return [sureButton('close', 'Cancel', 'Cancel it', name, end)];
      if (state !== 'done') return [action('close', 'Dismiss', name, end)];
      return [
        h('a', { class: 'button', href: job.urls.compare }, icon('compare'), 'Compare'),
        downloadLink(job),
        sureButton('trash', 'Remove', 'Remove with its files', name, end),
      ];
    });
  }

  /** A frame of the result, or of the original while it is worked on. */
  #showPicture(job: JobStatus): void {
    const { state, urls, result } = job;
    const kind = state === 'done' || state === 'running' ? state : '';
    if (kind === this.#picture) return;
    this.#picture = kind;
    this.thumb.replaceChildren(icon('film'));
    if (kind === 'running') this.thumb.append(originalPicture(job));
    if (kind !== 'done') return;
    const src = `${urls.frames}/${Math.floor((result?.frames ?? 0) / 2)}?rendition=restored`;
    const image = h('img', { alt: '', loading: 'lazy', decoding: 'async', src });
    image.addEventListener('error', () => image.remove());
    this.thumb.append(image);
  }
}

/** A still of the original, where this browser plays it; otherwise it takes itself away. */
export function originalPicture({ urls }: JobStatus): HTMLVideoElement {
  const src = `${urls.video}?rendition=source#t=0.5`;
  const video = h('video', {
    muted: true,
    playsinline: true,
    preload: 'metadata',
    tabindex: -1,
    'aria-hidden': 'true',
    src,
  });
  video.addEventListener('error', () => video.remove());
  return video;
}

/** Saves the result, under the name of the original. */
export function downloadLink(job: JobStatus, text = false): HTMLAnchorElement {
  const link = h(
    'a',
    {
      class: text ? 'button primary' : 'icon-button',
      href: `${job.urls.video}?download=true`,
      download: '',
      title: 'Download',
    },
    icon('download'),
  );
  link.append(text ? 'Download' : h('span', { class: 'sr' }, `Download: ${job.name}`));
  return link;
}
