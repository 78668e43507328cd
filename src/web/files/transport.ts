import type { Rendition } from '../../contracts/media.ts';
import { type Choice, type IconButton, iconButton, segmented } from '../core/controls.ts';
import { h, setText } from '../core/dom.ts';
import { grouped, timecode } from '../core/format.ts';
import { type Keys, openHelp } from '../core/help.ts';

const KEYS: Keys = [
  [['Space'], 'Play, pause'],
  [[',', '.'], 'One frame back, one on'],
  [['←', '→'], 'Move the divider by 1 %'],
  [['Page Up', 'Page Down'], 'Move the divider by 10 %, when it has the focus'],
  [['c'], 'Compare'],
  [['r'], 'Restored only'],
  [['s'], 'Original only'],
  [['+', '-', '0'], 'Enlarge, reduce, all of it'],
  [['Shift', '←↑→↓'], 'Move within the enlarged picture'],
  [['m'], 'Sound on or off'],
  [['d'], 'Save what is seen as PNG'],
  [['f'], 'Full screen'],
  [['?'], 'This list'],
];

export interface TransportOptions {
  name: string;
  /** Seconds of each frame. */
  times: readonly number[];
  hasAudio: boolean;
  mode(mode: Rendition): void;
  play(): void;
  seek(frame: number): void;
  zoom(): void;
  muted(muted: boolean): void;
  fullscreen(): HTMLElement;
  still(): HTMLCanvasElement;
}

/** Position, play, single steps, and what to show. */
export class Transport {
  readonly element: HTMLElement;
  readonly #options: TransportOptions;
  readonly #modes: Choice<Rendition>;
  readonly #position: HTMLInputElement;
  readonly #time = h('span', { class: 'timecode' });
  readonly #frame = h('span', { class: 'frame-number' });
  readonly #play: IconButton;
  readonly #mute: IconButton;
  readonly #zoom: IconButton;
  readonly #zoomText = h('span', { class: 'zoom-text', 'aria-hidden': 'true' });
  readonly #full: IconButton;
  readonly #abort = new AbortController();
  #now = 0;
  #muted = false;
  #isSilent = false;

  constructor(options: TransportOptions) {
    this.#options = options;
    const { times } = options;
    const last = times.length - 1;
    this.#position = h('input', {
      type: 'range',
      class: 'position',
      min: 0,
      max: Math.max(0, last),
      step: 1,
      'aria-label': 'Frame',
      disabled: last < 1,
    });
    this.#position.addEventListener('input', () => options.seek(Number(this.#position.value)));
    this.#play = iconButton('play', 'Play (space)', () => options.play());
    this.#play.element.classList.add('play');
    this.#play.element.disabled = last < 1;
    const back = iconButton('step-back', 'One frame back (,)', () => options.seek(this.#now - 1));
    const on = iconButton('step-on', 'One frame on (.)', () => options.seek(this.#now + 1));
    this.#modes = segmented(
      'What to show',
      [
        ['compare', 'Compare'],
        ['restored', 'Restored'],
        ['source', 'Original'],
      ],
      (mode) => options.mode(mode),
    );
    this.#modes.show('compare');
    this.#mute = iconButton('sound', 'Turn sound off (m)', () => this.#setMuted(!this.#muted));
    this.#mute.element.hidden = !options.hasAudio;
    this.#zoom = iconButton('zoom', 'Enlarge (+)', () => options.zoom());
    this.#zoom.element.append(this.#zoomText);
    const still = iconButton('still', 'Save what is seen (d)', () => this.#save());
    this.#full = iconButton('full', 'Full screen (f)', () => void this.#toggleFull());
    this.#full.element.hidden = !document.fullscreenEnabled;
    const help = iconButton('help', 'Keys (?)', () => this.#help());
    help.element.classList.add('keyboard-only');
    this.element = h(
      'div',
      { class: 'transport' },
      this.#position,
      h(
        'div',
        { class: 'toolbar', role: 'toolbar', 'aria-label': 'Picture controls' },
        h('div', { class: 'steps' }, back.element, this.#play.element, on.element),
        h('div', { class: 'place' }, this.#time, this.#frame),
        h('span', { class: 'gap' }),
        this.#modes.element,
        h(
          'div',
          { class: 'tools' },
          this.#mute.element,
          this.#zoom.element,
          still.element,
          this.#full.element,
          help.element,
        ),
      ),
    );
    document.addEventListener(
      'fullscreenchange',
      () => this.#full.show('full', document.fullscreenElement ? 'Leave full screen (f)' : 'Full screen (f)'),
      { signal: this.#abort.signal },
    );
    this.show(0);
  }

  set playing(playing: boolean) {
    this.#play.show(playing ? 'pause' : 'play', playing ? 'Pause (space)' : 'Play (space)');
  }

  showMode(mode: Rendition): void {
    this.#modes.show(mode);
  }

  showZoom(scale: number): void {
    setText(this.#zoomText, scale === 1 ? '' : `${scale}×`);
    this.#zoom.element.title = scale === 1 ? 'Enlarge (+)' : `Enlarged ${scale} times (+, -, 0)`;
  }

  /** Shows where it is. */
  show(frame: number): void {
    const { times } = this.#options;
    const last = times.length - 1;
    this.#now = frame;
    const time = `${timecode(times[frame] ?? 0)} / ${timecode(times[last] ?? 0)}`;
    const number = `frame ${grouped(frame + 1)} of ${grouped(last + 1)}`;
    this.#position.value = String(frame);
    this.#position.style.setProperty('--value', `${last > 0 ? (frame / last) * 100 : 0}%`);
    this.#position.setAttribute('aria-valuetext', `${number}, ${timecode(times[frame] ?? 0)}`);
    setText(this.#time, time);
    setText(this.#frame, number);
  }

  showMuted(muted: boolean): void {
    this.#muted = muted;
    this.#mute.show(muted ? 'mute' : 'sound', muted ? 'Turn sound on (m)' : 'Turn sound off (m)');
  }

  /** There is no sound now: single frames have none. */
  silent(): void {
    this.#isSilent = true;
    this.#mute.element.hidden = true;
  }

  key(key: string): boolean {
    const keys: Record<string, () => void> = {
      m: () => this.#setMuted(!this.#muted),
      d: () => this.#save(),
      f: () => void this.#toggleFull(),
      '?': () => this.#help(),
    };
    keys[key]?.();
    return key in keys;
  }

  close(): void {
    this.#abort.abort();
  }

  #help(): void {
    openHelp(KEYS, 'Drag anywhere on the picture to move the divider; enlarged, drag the picture itself.');
  }

  #setMuted(muted: boolean): void {
    if (this.#isSilent) return;
    this.showMuted(muted);
    this.#options.muted(muted);
  }

  #save(): void {
    const name = `${this.#options.name.replace(/\.\w{1,5}$/, '')}-${this.#now + 1}.png`;
    this.#options.still().toBlob((blob) => {
      if (blob === null) return;
      const url = URL.createObjectURL(blob);
      h('a', { href: url, download: name }).click();
      // The download has begun by the next minute.
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    });
  }

  async #toggleFull(): Promise<void> {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.#options.fullscreen().requestFullscreen();
  }
}
