import type { StreamStatus } from '../../contracts/stream.ts';
import { type IconButton, iconButton } from '../core/controls.ts';
import { h, setText } from '../core/dom.ts';
import { fps, ms, percent } from '../core/format.ts';
import {
  awaitsPush,
  badge,
  hasPicture,
  nextTry,
  outcomeBar,
  passesAsWanted,
  restoredShare,
  shortCause,
  titleOf,
} from '../core/state.ts';
import { RecentFrames } from './recent-frames.ts';
import { Snapshot } from './snapshot.ts';

interface Figure {
  element: HTMLElement;
  set(value: string): void;
}

function figure(label: string, unit: string): Figure {
  const value = h('b', {}, '–');
  const suffix = h('small', { hidden: true }, unit);
  const element = h('div', {}, h('dt', {}, label), h('dd', {}, value, suffix));
  return {
    element,
    set(text) {
      setText(value, text);
      suffix.hidden = unit === '' || !/^\d/.test(text);
    },
  };
}

/** One camera on the wall. The whole card leads to the camera; the pencil edits it. */
export class Card {
  readonly element: HTMLElement;
  readonly name: string;
  readonly #snapshot: Snapshot;
  readonly #link: HTMLAnchorElement;
  readonly #pencil: IconButton | undefined;
  readonly #badge = badge();
  readonly #outcomes = outcomeBar();
  readonly #cause = h('p', { class: 'card-cause' });
  readonly #note = h('p', { class: 'card-note' });
  readonly #latency = figure('Latency p95', 'ms');
  readonly #fps = figure('Rate', 'fps');
  readonly #restored = figure('Restored', '%');
  readonly #recent = new RecentFrames();
  readonly #viewers = figure('Viewers', '');

  constructor(name: string, edit: (() => void) | undefined) {
    this.name = name;
    this.#snapshot = new Snapshot(name);
    this.#restored.element.title = 'Of the frames of the last minute';
    this.#link = h('a', { href: `/streams/${encodeURIComponent(name)}` });
    this.#pencil = edit && iconButton('edit', '', edit);
    this.#pencil?.element.classList.add('card-edit');
    this.element = h(
      'li',
      { class: 'card' },
      h('div', { class: 'card-picture' }, this.#snapshot.element, this.#note, this.#badge.element),
      this.#outcomes.element,
      h('div', { class: 'card-head' }, h('h2', {}, this.#link), this.#pencil?.element, this.#cause),
      h(
        'dl',
        { class: 'card-figures' },
        this.#latency.element,
        this.#fps.element,
        this.#restored.element,
        this.#viewers.element,
      ),
    );
  }

  /** `now` on the gateway's clock, Unix ms. */
  update(status: StreamStatus, now: number): void {
    const live = hasPicture(status);
    const cause = shortCause(status);
    const title = titleOf(status);
    this.element.dataset.state = status.state;
    if (setText(this.#link, title)) {
      this.#link.title = title;
      this.#pencil?.show('edit', `Edit ${title}`);
    }
    this.#snapshot.wanted = live;
    this.#badge.set(status);
    setText(this.#cause, cause);
    this.#cause.title = cause;
    const sleeps = status.state === 'idle' && !awaitsPush(status);
    setText(this.#note, live ? '' : sleeps ? 'Connects when watched' : nextTry(status, now) || 'No picture');
    this.#recent.add(status.frames, performance.now());
    const { frames } = this.#recent;
    const passes = passesAsWanted(status);
    this.#outcomes.set(live ? frames : { restored: 0, passthrough: 0, dropped: 0 }, passes);
    this.#latency.set(live ? ms(status.latency?.total?.p95) : '–');
    this.#fps.set(live ? fps(status.fps) : '–');
    this.#restored.set(live ? (passes ? 'off' : percent(restoredShare(frames))) : '–');
    this.#viewers.set(String(status.viewers.webrtc + status.viewers.hls));
  }

  close(): void {
    this.#snapshot.close();
    this.element.remove();
  }
}
