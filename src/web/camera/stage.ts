import type { Rendition } from '../../contracts/media.ts';
import type { StreamStatus } from '../../contracts/stream.ts';
import { type Context, mayEdit } from '../core/context.ts';
import { Divider } from '../core/divider.ts';
import { h, setText } from '../core/dom.ts';
import { ms } from '../core/format.ts';
import { awaitsPush, badge, causeOf, hasPicture, nextTry, sentence, titleOf } from '../core/state.ts';
import { Player, type PlayerStatus } from '../player/player.ts';
import { Picture } from './compare.ts';
import { markIdle } from './idle.ts';
import { Toolbar } from './toolbar.ts';
import { WakeLock } from './wake-lock.ts';

const REPORT_EVERY = 2_000;
const PROTOCOL_WORDS = { webrtc: 'WebRTC', hls: 'HLS' } as const;

interface Overlay {
  title: string;
  text: string;
  /** When the next attempt is, where one is due. */
  next?: string;
}

/** What covers the picture, in words; undefined while the picture speaks for itself. */
function overlayOf(
  status: StreamStatus | undefined,
  player: PlayerStatus,
  connected: boolean,
  now: number,
  editable: boolean,
): Overlay | undefined {
  if (player.phase === 'refused')
    return { title: 'Not allowed', text: `${player.why} It is tried again by itself.` };
  if (!connected && player.phase !== 'playing') {
    return { title: 'Gateway lost', text: 'It does not answer. The picture comes back by itself.' };
  }
  if (status !== undefined && !hasPicture(status)) {
    const titles = {
      idle: awaitsPush(status) ? 'Nobody pushes this camera' : 'Waking the camera',
      connecting: 'Connecting to the camera',
      backoff: 'No signal',
      disabled: 'Switched off',
      live: '',
      degraded: '',
    } as const;
    const where = editable && awaitsPush(status) ? ' The pencil above leads to the address to push to.' : '';
    const text = `${sentence(causeOf(status))}${where}`;
    return { title: titles[status.state], text, next: sentence(nextTry(status, now)) };
  }
  if (player.phase === 'playing') return undefined;
  return player.phase === 'connecting'
    ? { title: 'Opening the picture', text: player.why }
    : { title: 'Picture interrupted', text: player.why };
}

/** The picture with everything on and under it. */
export class Stage {
  readonly element: HTMLElement;
  readonly player: Player;
  readonly #context: Context;
  readonly #name: string;
  readonly #picture = new Picture();
  readonly #surface: HTMLElement;
  readonly #divider: Divider;
  readonly #toolbar: Toolbar;
  readonly #badge = badge();
  readonly #chip = h('span', { class: 'chip chip-player' });
  readonly #restoredTag = h('span', { class: 'tag tag-restored' }, 'restored');
  readonly #overlayTitle = h('b');
  readonly #overlayText = h('span');
  /** Not told to screen readers as it counts down: that would be every second. */
  readonly #overlayNext = h('span');
  readonly #overlay = h(
    'div',
    { class: 'overlay' },
    h('div', { role: 'status' }, this.#overlayTitle, this.#overlayText),
    this.#overlayNext,
  );
  readonly #wakeLock = new WakeLock();
  #status: PlayerStatus = { phase: 'connecting', why: '' };
  readonly #abort = new AbortController();
  #report = 0;
  #hadPicture = false;

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    const videos = h('div', { class: 'videos', 'aria-hidden': 'true' });
    this.#picture.canvas.setAttribute('role', 'img');
    this.#surface = h('div', { class: 'picture', 'data-shows': 'compare', 'data-empty': true });
    this.#divider = new Divider(this.#surface, {
      before: 'camera',
      moved: (position) => {
        this.#picture.position = position;
      },
    });
    this.#surface.append(
      videos,
      this.#picture.canvas,
      h('span', { class: 'tag tag-source' }, 'camera'),
      this.#restoredTag,
      this.#divider.element,
      this.#badge.element,
      this.#chip,
      this.#overlay,
    );
    this.#toolbar = new Toolbar({
      name,
      mode: (mode) => this.setMode(mode),
      audio: (muted, volume) => this.player.setAudio(muted, volume),
      canvas: this.#picture.canvas,
      fullscreen: () => this.element,
    });
    this.element = h(
      'section',
      { class: 'stage', 'aria-label': 'Picture' },
      this.#surface,
      this.#toolbar.element,
    );
    markIdle(this.element, this.#abort.signal);
    this.player = new Player({
      stream: name,
      rendition: 'compare',
      mount: videos,
      clockOffset: () => context.events.clock.offset,
      expectsPicture: () => hasPicture(context.store.get(name)) && context.store.connected,
      frame: (video, rendition) => this.#drawn(video, rendition),
      status: (status) => {
        this.#status = status;
        if (status.phase === 'refused') context.recheckSession();
        this.update();
      },
    });
    this.player.start();
    this.#report = window.setInterval(() => this.#sendReport(), REPORT_EVERY);
  }

  get playerStatus(): PlayerStatus {
    return this.#status;
  }

  setMode(mode: Rendition): void {
    this.#toolbar.showMode(mode);
    this.player.setRendition(mode);
  }

  /** One of the stage's keys; false when it is not. */
  key(key: string): boolean {
    const modes: Record<string, Rendition> = { c: 'compare', r: 'restored', s: 'source' };
    const mode = modes[key];
    if (mode !== undefined) {
      this.setMode(mode);
      return true;
    }
    if (this.#toolbar.key(key)) return true;
    // Up, down, page and end keys scroll the page unless the divider has the focus.
    return (key === 'ArrowLeft' || key === 'ArrowRight') && this.#divider.key(key);
  }

  update(): void {
    const { store, events } = this.#context;
    const status = store.get(this.#name);
    const editable = mayEdit(this.#context, this.#name);
    const overlay = overlayOf(status, this.#status, store.connected, events.clock.now(), editable);
    this.#overlay.hidden = overlay === undefined;
    void this.#wakeLock.keep(overlay === undefined);
    this.#surface.dataset.dimmed = String(overlay !== undefined);
    this.#surface.setAttribute('aria-busy', String(this.#status.phase === 'connecting'));
    setText(this.#overlayTitle, overlay?.title ?? '');
    setText(this.#overlayText, overlay?.text ?? '');
    setText(this.#overlayNext, overlay?.next ?? '');
    if (status !== undefined) this.#badge.set(status);
    // What was so when the gateway was last heard need not be so now.
    this.#badge.element.hidden =
      status === undefined || (!store.connected && this.#status.phase !== 'playing');
    this.#toolbar.hasPicture = store.connected && hasPicture(status);
    this.#toolbar.audible = status?.input?.hasAudio !== false;
    const title = status === undefined ? this.#name : titleOf(status);
    this.#picture.canvas.setAttribute('aria-label', `Live picture of ${title}`);
    const passed = status?.restoration?.model === 'none';
    setText(this.#restoredTag, passed ? 'passed through' : 'restored');
    this.#restoredTag.dataset.passed = String(passed);
    const shape = status?.restoration ?? status?.input;
    if (shape !== undefined && !this.#hadPicture) this.#shape(shape.width, shape.height);
    const { protocol, why } = this.#status;
    const glass = this.player.glass.summary(performance.timeOrigin + performance.now());
    const parts = protocol && [PROTOCOL_WORDS[protocol], glass && `${ms(glass.p50)} ms`].filter(Boolean);
    setText(this.#chip, parts ? parts.join(' · ') : '');
    this.#chip.title = why || 'Arrival at the gateway to this screen, p50';
    this.#chip.hidden = parts === undefined || overlay !== undefined;
    this.#chip.dataset.protocol = protocol ?? '';
  }

  close(): void {
    this.#abort.abort();
    clearInterval(this.#report);
    this.player.close();
    this.#toolbar.close();
    void this.#wakeLock.keep(false);
  }

  #drawn(video: HTMLVideoElement, rendition: Rendition): void {
    this.#picture.draw(video, rendition);
    if (!this.#hadPicture) {
      this.#hadPicture = true;
      delete this.#surface.dataset.empty;
    }
    const { width, height } = this.#picture.canvas;
    this.#shape(width, height);
    if (this.#surface.dataset.shows !== rendition) {
      this.#surface.dataset.shows = rendition;
      this.#divider.element.hidden = rendition !== 'compare';
    }
  }

  #shape(width: number, height: number): void {
    const ratio = (width / height).toFixed(4);
    if (this.element.style.getPropertyValue('--ratio') !== ratio) {
      this.element.style.setProperty('--ratio', ratio);
    }
  }

  #sendReport(): void {
    const { protocol } = this.player;
    const samples = this.player.glass.take();
    if (protocol === undefined || samples.ms.length === 0) return;
    this.#context.events.send({ type: 'latency', stream: this.#name, protocol, ...samples });
  }
}
