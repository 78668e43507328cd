import { type Context, mayEdit, type View } from '../core/context.ts';
import { h, setText } from '../core/dom.ts';
import { icon } from '../core/icons.ts';
import { causeAndTry, hasPicture, titleOf } from '../core/state.ts';
import { openCameraForm } from '../wall/form.ts';
import { Controls } from './controls.ts';
import { FactsPanel, LatencyPanel } from './figures.ts';
import { linksPanel } from './links.ts';
import { Stage } from './stage.ts';

const PROTOCOL_WORDS = { webrtc: 'WebRTC', hls: 'HLS' } as const;

const pageTitle = (title: string): string => `${title} · Clearway`;

function missing(name: string): View {
  const back = h('a', { href: '/' }, 'All cameras');
  return {
    element: h('div', { class: 'empty' }, h('h2', {}, `There is no camera named ${name}`), h('p', {}, back)),
    title: pageTitle(name),
    dispose: () => {},
  };
}

/** One camera: the before/after picture, what can be set, and how it does. */
export function cameraView(context: Context, name: string): View {
  const { store, events } = context;
  const abort = new AbortController();
  const stage = new Stage(context, name);
  const controls = new Controls(context, name);
  const latency = new LatencyPanel();
  const facts = new FactsPanel();
  const cause = h('p', { class: 'camera-cause' });
  const known = store.get(name);
  const heading = h('h1', {}, known ? titleOf(known) : name);
  const edit = h(
    'button',
    {
      class: 'icon-button',
      type: 'button',
      title: 'Edit this camera',
      onclick: () => openCameraForm(context, name),
    },
    icon('edit'),
    h('span', { class: 'sr' }, 'Edit this camera'),
  );
  const back = h('a', { class: 'icon-button', href: '/', title: 'All cameras' }, icon('back'));
  back.append(h('span', { class: 'sr' }, 'All cameras'));
  const element = h(
    'div',
    { class: 'camera' },
    h('div', { class: 'camera-head' }, back, heading, cause, mayEdit(context, name) && edit),
    h(
      'div',
      { class: 'camera-main' },
      stage.element,
      h('div', { class: 'under' }, ...facts.elements, linksPanel(name)),
    ),
    h('aside', { class: 'side', 'aria-label': 'Settings and latency' }, controls.element, latency.element),
  );

  let wasConnected = store.connected;
  let hadPicture = false;
  let gone = false;
  const update = (): void => {
    const status = store.get(name);
    if (status === undefined && store.loaded && !gone) {
      gone = true;
      stage.close();
      element.replaceChildren(missing(name).element);
    }
    if (gone) {
      // Taken out of the configuration and put back.
      if (status !== undefined) context.reopen();
      return;
    }
    const picture = hasPicture(status);
    const back = store.connected && !wasConnected;
    if (back || (picture && !hadPicture)) stage.player.hurry();
    // The gateway may have started anew, with another file.
    if (back) void controls.load();
    wasConnected = store.connected;
    hadPicture = picture;
    stage.update();
    if (status === undefined) return;
    const words = causeAndTry(status, events.clock.now());
    if (setText(heading, titleOf(status))) document.title = pageTitle(titleOf(status));
    setText(cause, words);
    cause.title = words;
    controls.update(status);
    const now = performance.timeOrigin + performance.now();
    latency.update(status, stage.player.glass.summary(now), events.clock.uncertainty);
    const { protocol, why, phase } = stage.playerStatus;
    facts.update(status, events.clock.now(), {
      protocol: protocol && phase === 'playing' ? PROTOCOL_WORDS[protocol] : phase,
      why,
    });
  };

  store.watch(update, abort.signal);
  const tick = window.setInterval(update, 1_000);
  document.addEventListener(
    'keydown',
    (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || gone) return;
      if (document.querySelector('dialog[open]')) return;
      const target = event.target instanceof Element ? event.target : undefined;
      if (target?.closest('input:not([type=radio]), select, textarea')) return;
      // Radios keep their arrows; letters mean the same everywhere.
      if (target?.closest('input') && event.key.startsWith('Arrow')) return;
      if (stage.key(event.key)) event.preventDefault();
    },
    { signal: abort.signal },
  );
  update();

  return {
    element,
    title: pageTitle(heading.textContent),
    dispose() {
      clearInterval(tick);
      abort.abort();
      controls.close();
      if (!gone) stage.close();
    },
  };
}
