import type { StreamStatus } from '../../contracts/stream.ts';
import { type Context, mayEdit, type View } from '../core/context.ts';
import { h, setText } from '../core/dom.ts';
import { icon } from '../core/icons.ts';
import { awaitsPush, sentence, titleOf } from '../core/state.ts';
import { Card } from './card.ts';
import { openCameraForm } from './form.ts';

/** Fewer cameras than this are found by looking. */
const FILTER_FROM = 7;
/** How long the first list may take before the page says that something is wrong. */
const PATIENCE_MS = 4_000;

const people = (n: number): string => `${n} ${n === 1 ? 'viewer' : 'viewers'}`;

function summary(streams: StreamStatus[]): string {
  const count = (...states: StreamStatus['state'][]): number =>
    streams.filter((stream) => states.includes(stream.state) && !awaitsPush(stream)).length;
  const viewers = streams.reduce((sum, { viewers: v }) => sum + v.webrtc + v.hls, 0);
  const parts = [
    `${streams.length} ${streams.length === 1 ? 'camera' : 'cameras'}`,
    [count('live'), 'live'],
    [count('degraded'), 'degraded'],
    [count('connecting', 'backoff'), 'without signal'],
    [streams.filter(awaitsPush).length, 'not pushed'],
    [count('idle'), 'asleep'],
    [count('disabled'), 'off'],
  ];
  const said = parts.flatMap((part) => (Array.isArray(part) ? (part[0] ? [part.join(' ')] : []) : [part]));
  return [...said, people(viewers)].join(' · ');
}

/** The wall: every camera with its newest picture and how it does. */
export function wallView(context: Context): View {
  const { store } = context;
  const abort = new AbortController();
  const cards = new Map<string, Card>();
  const add = (): void => openCameraForm(context);
  const head = h('p', { class: 'wall-summary', 'aria-live': 'off' });
  const filter = h('input', { type: 'search', placeholder: 'Find a camera', 'aria-label': 'Find a camera' });
  const search = h('label', { class: 'search' }, icon('search'), filter);
  const addButton = h(
    'button',
    { class: 'button', type: 'button', onclick: add },
    icon('plus'),
    'Add camera',
  );
  const grid = h('ul', { class: 'wall-grid' });
  const message = h('div', { class: 'empty' });
  const element = h(
    'div',
    { class: 'wall' },
    h('div', { class: 'wall-head' }, h('h1', {}, 'Cameras'), head, search, mayEdit(context) && addButton),
    message,
    grid,
  );

  const say = (kind: 'loading' | 'error' | 'refused' | 'empty' | 'none' | ''): void => {
    if (message.dataset.kind === kind) return;
    message.dataset.kind = kind;
    message.hidden = kind === '';
    const parts: Record<typeof kind, Node[]> = {
      '': [],
      loading: [h('p', {}, 'Asking the gateway for its cameras.')],
      error: [
        h('h2', {}, 'The gateway does not answer'),
        h('p', {}, 'This page keeps trying and fills itself as soon as the gateway is back.'),
      ],
      refused: [h('h2', {}, 'The gateway refuses'), h('p', {}, sentence(store.refusal))],
      none: [h('p', {}, 'No camera has that name.')],
      empty: [
        h('h2', {}, 'No cameras yet'),
        h(
          'p',
          {},
          mayEdit(context)
            ? 'Point Clearway at an RTSP camera, or let an encoder push RTMP to it. It restores the picture and plays it here.'
            : 'Somebody with the admin role can add the first one.',
        ),
        ...(mayEdit(context)
          ? [
              h(
                'button',
                { class: 'button primary', type: 'button', onclick: add },
                icon('plus'),
                'Add camera',
              ),
            ]
          : []),
      ],
    };
    message.replaceChildren(...parts[kind]);
  };

  let late = false;
  const patience = window.setTimeout(() => {
    late = true;
    update();
  }, PATIENCE_MS);

  const update = (): void => {
    const streams = store.list();
    const wanted = filter.value.trim().toLowerCase();
    // One that is in use stays, though the cameras have become fewer: nothing is left out without a word.
    search.hidden = streams.length < FILTER_FROM && wanted === '' && document.activeElement !== filter;
    element.dataset.stale = String(store.loaded && !store.connected && late);
    setText(head, streams.length > 0 ? summary(streams) : '');
    addButton.hidden = streams.length === 0;
    for (const [name, card] of cards) {
      if (store.get(name) !== undefined) continue;
      card.close();
      cards.delete(name);
    }
    const focused = document.activeElement;
    grid.dataset.few = String(streams.length <= 3);
    let shown = 0;
    for (const [index, status] of streams.entries()) {
      let card = cards.get(status.name);
      if (card === undefined) {
        card = new Card(
          status.name,
          mayEdit(context, status.name) ? () => openCameraForm(context, status.name) : undefined,
        );
        cards.set(status.name, card);
      }
      if (grid.children[index] !== card.element)
        grid.insertBefore(card.element, grid.children[index] ?? null);
      card.element.hidden = ![titleOf(status), status.name].some((text) =>
        text.toLowerCase().includes(wanted),
      );
      if (!card.element.hidden) shown++;
      card.update(status, context.events.clock.now());
    }
    // One that is moved loses the focus.
    if (focused instanceof HTMLElement && focused !== document.activeElement && grid.contains(focused))
      focused.focus({ preventScroll: true });
    if (!store.loaded) say(store.refusal !== '' ? 'refused' : late ? 'error' : 'loading');
    else if (streams.length === 0) say('empty');
    else say(shown === 0 ? 'none' : '');
  };

  // The gateway tells of all cameras at once, every second: one look at them all is enough.
  let due = 0;
  const changed = (): void => {
    cancelAnimationFrame(due);
    due = requestAnimationFrame(update);
  };
  store.watch(changed, abort.signal);
  filter.addEventListener('input', update);
  document.addEventListener(
    'keydown',
    (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector('dialog[open]')) return;
      if (event.target instanceof Element && event.target.closest('input, select, textarea')) return;
      if (event.key === '/' && !search.hidden) filter.focus();
      else if (event.key === 'n' && mayEdit(context)) add();
      else return;
      event.preventDefault();
    },
    { signal: abort.signal },
  );
  // Countdowns to the next attempt move while nothing else happens.
  const tick = window.setInterval(update, 1_000);
  update();

  return {
    element,
    title: 'Cameras · Clearway',
    dispose() {
      clearTimeout(patience);
      clearInterval(tick);
      cancelAnimationFrame(due);
      abort.abort();
      for (const card of cards.values()) card.close();
    },
  };
}
