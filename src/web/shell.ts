import type { Session } from './core/api.ts';
import { h, setText } from './core/dom.ts';
import { icon, mark } from './core/icons.ts';
import { themeButton } from './core/theme.ts';

const TOAST_MS = 5_000;
/** A connection lost for a moment is not worth a word. */
const LOST_AFTER_MS = 1_200;

/** The frame around every view: wordmark, connection, theme, who is signed in, and brief messages. */
export class Shell {
  readonly #main = h('main', { id: 'main', tabindex: -1 });
  readonly #running = h('b');
  readonly #working = h(
    'span',
    { class: 'working', hidden: true },
    this.#running,
    h('span', { class: 'sr' }, ' being restored'),
  );
  readonly #places = {
    cameras: h('a', { href: '/' }, 'Cameras'),
    files: h('a', { href: '/files' }, 'Files', this.#working),
  };
  readonly #nav = h('nav', { class: 'places', 'aria-label': 'Main' }, ...Object.values(this.#places));
  readonly #link = h('span', { class: 'link-state', 'data-up': 'wait' });
  readonly #linkText = h('span');
  readonly #user = h('span', { class: 'user' });
  readonly #toasts = h('div', { class: 'toasts', role: 'status', 'aria-live': 'polite' });
  #lost = 0;

  constructor(root: HTMLElement) {
    this.#link.append(h('i', { 'aria-hidden': 'true' }), this.#linkText);
    this.#link.setAttribute('role', 'status');
    const header = h(
      'header',
      { class: 'bar' },
      h(
        'a',
        { class: 'wordmark', href: '/', 'aria-label': 'Clearway, all cameras' },
        mark(),
        h('b', {}, 'Clearway'),
      ),
      this.#nav,
      h('span', { class: 'gap' }),
      this.#link,
      this.#user,
      themeButton(),
    );
    root.replaceChildren(header, this.#main, this.#toasts);
    setText(this.#linkText, 'Connecting');
  }

  show(element: HTMLElement): void {
    this.#main.replaceChildren(element);
  }

  /** To the view that is shown: what had the focus is gone. */
  focus(): void {
    this.#main.focus({ preventScroll: true });
  }

  setConnected(connected: boolean): void {
    if (connected) {
      clearTimeout(this.#lost);
      this.#lost = 0;
      this.#setLink('yes', 'Connected');
    } else if (this.#lost === 0) {
      // Every attempt that fails says so again; the first began the loss.
      this.#lost = window.setTimeout(() => this.#setLink('no', 'Gateway lost, reconnecting'), LOST_AFTER_MS);
    }
  }

  /** Says which part of the page is open. */
  setPlace(place: 'cameras' | 'files'): void {
    for (const [name, link] of Object.entries(this.#places)) {
      if (name === place) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
    }
  }

  /** Shows beside Files that some are being restored. */
  setWorking(running: number): void {
    this.#working.hidden = running === 0;
    this.#working.title = `${running} being restored`;
    setText(this.#running, String(running));
  }

  setUser(session: Session, signOut: () => void): void {
    const { user } = session;
    const hidden = session.auth && user === undefined;
    this.#link.hidden = hidden;
    this.#nav.hidden = hidden;
    if (user === undefined) {
      this.#user.replaceChildren();
      return;
    }
    const out = h('button', { class: 'icon-button', type: 'button', title: 'Sign out', onclick: signOut });
    out.append(icon('out'), h('span', { class: 'sr' }, 'Sign out'));
    this.#user.replaceChildren(h('span', { class: 'user-name' }, user.name), out);
  }

  toast(message: string, kind: 'note' | 'error' = 'note'): void {
    const toast = h('p', { class: 'toast', 'data-kind': kind }, message);
    this.#toasts.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  #setLink(up: 'yes' | 'no', text: string): void {
    this.#link.dataset.up = up;
    setText(this.#linkText, text);
  }
}
