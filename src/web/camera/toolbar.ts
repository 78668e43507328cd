import { RENDITIONS, type Rendition } from '../../contracts/media.ts';
import { type Choice, type IconButton, iconButton, segmented } from '../core/controls.ts';
import { h } from '../core/dom.ts';
import { openCameraHelp } from './help.ts';
import { PictureInPicture } from './pip.ts';

export interface ToolbarOptions {
  name: string;
  canvas: HTMLCanvasElement;
  mode(mode: Rendition): void;
  audio(muted: boolean, volume: number): void;
  /** What goes full screen. */
  fullscreen(): HTMLElement;
}

const MODE_WORDS: Record<Rendition, string> = { compare: 'Compare', restored: 'Restored', source: 'Camera' };

/** Mode, sound, still, picture in picture, full screen, help. */
export class Toolbar {
  readonly element: HTMLElement;
  readonly #options: ToolbarOptions;
  readonly #modes: Choice<Rendition>;
  readonly #still: IconButton;
  readonly #pip: PictureInPicture;
  readonly #mute: IconButton;
  readonly #volume: HTMLInputElement;
  readonly #full: IconButton;
  readonly #abort = new AbortController();
  #muted = true;
  #audible = true;
  #mode: Rendition = 'compare';

  constructor(options: ToolbarOptions) {
    this.#options = options;
    this.#pip = new PictureInPicture(options.canvas);
    const modes = RENDITIONS.toSorted((a, b) => (a === 'compare' ? -1 : b === 'compare' ? 1 : 0));
    this.#modes = segmented(
      'What to show',
      modes.map((mode) => [mode, MODE_WORDS[mode]] as const),
      (mode) => options.mode(mode),
    );
    this.#mute = iconButton('mute', 'Sound is off (m)', () => this.#setMuted(!this.#muted));
    this.#volume = h('input', {
      type: 'range',
      min: 0,
      max: 100,
      value: 80,
      class: 'volume',
      'aria-label': 'Volume',
    });
    this.#volume.addEventListener('input', () => this.#setMuted(this.#volume.value === '0'));
    this.#volume.style.setProperty('--value', '80%');
    this.#still = iconButton('still', 'Save a still (d)', () => this.#save());
    const pip = iconButton('pip', 'Picture in picture (p)', () => void this.#pip.toggle());
    pip.element.hidden = !this.#pip.possible;
    this.#full = iconButton('full', 'Full screen (f)', () => void this.#toggleFull());
    this.#full.element.hidden = !document.fullscreenEnabled;
    const help = iconButton('help', 'Keys (?)', openCameraHelp);
    help.element.classList.add('keyboard-only');
    pip.element.classList.add('keyboard-only');
    this.element = h(
      'div',
      { class: 'toolbar', role: 'toolbar', 'aria-label': 'Picture controls' },
      this.#modes.element,
      h('span', { class: 'gap' }),
      this.#mute.element,
      this.#volume,
      this.#still.element,
      pip.element,
      this.#full.element,
      help.element,
    );
    document.addEventListener(
      'fullscreenchange',
      () => this.#full.show('full', document.fullscreenElement ? 'Leave full screen (f)' : 'Full screen (f)'),
      { signal: this.#abort.signal },
    );
    this.showMode('compare');
    this.#showSound();
  }

  /** Whether the camera sends sound, as far as is known. */
  set audible(audible: boolean) {
    if (this.#audible === audible) return;
    this.#audible = audible;
    this.#mute.element.disabled = !audible;
    this.#volume.disabled = !audible;
    this.#showSound();
  }

  /** Whether the camera has a picture: the gateway's answer that it has none would be saved as one. */
  set hasPicture(has: boolean) {
    this.#still.element.disabled = !has;
  }

  showMode(mode: Rendition): void {
    this.#mode = mode;
    this.#modes.show(mode);
  }

  key(key: string): boolean {
    const keys: Record<string, () => void> = {
      m: () => this.#mute.element.click(),
      d: () => this.#still.element.click(),
      p: () => void this.#pip.toggle(),
      f: () => void this.#toggleFull(),
      '?': openCameraHelp,
    };
    keys[key]?.();
    return key in keys;
  }

  close(): void {
    this.#abort.abort();
    this.#pip.close();
  }

  #save(): void {
    const { name } = this.#options;
    const at = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
    const href = `/snapshot/${encodeURIComponent(name)}.jpg?rendition=${this.#mode}`;
    h('a', { href, download: `${name}-${this.#mode}-${at}.jpg` }).click();
  }

  #setMuted(muted: boolean): void {
    this.#muted = muted;
    this.#volume.style.setProperty('--value', `${this.#volume.value}%`);
    this.#showSound();
    this.#options.audio(muted, Number(this.#volume.value) / 100);
  }

  #showSound(): void {
    const label = this.#muted ? 'Turn sound on (m)' : 'Turn sound off (m)';
    const silent = this.#muted || !this.#audible;
    this.#mute.show(silent ? 'mute' : 'sound', this.#audible ? label : 'This camera sends no sound');
  }

  async #toggleFull(): Promise<void> {
    if (document.fullscreenElement) await document.exitFullscreen();
    else await this.#options.fullscreen().requestFullscreen();
  }
}
