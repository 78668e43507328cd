import { isOver, type JobStatus } from '../../contracts/jobs.ts';
import { ApiError, api } from '../core/api.ts';
import type { Context, View } from '../core/context.ts';
import { h, setText } from '../core/dom.ts';
import { icon } from '../core/icons.ts';
import { sentence } from '../core/state.ts';
import { CompareStage } from './compare-stage.ts';
import { jobFacts } from './facts.ts';
import { downloadLink, originalPicture, ProgressBar, sureButton } from './row.ts';
import { jobLine, orderLine, share } from './words.ts';

/** One file: how far it is and, once restored, the original and the result compared frame by frame. */
export function compareView(context: Context, id: string): View {
  const { jobs, store } = context;
  const abort = new AbortController();
  const title = h('h1', { tabindex: -1 }, 'File');
  const about = h('p', { class: 'camera-cause' });
  const actions = h('div', { class: 'file-actions' });
  const main = h('div', { class: 'camera-main' });
  const side = h('aside', { class: 'side', 'aria-label': 'About this file' });
  const back = h('a', { class: 'icon-button', href: '/files', title: 'All files' }, icon('back'));
  back.append(h('span', { class: 'sr' }, 'All files'));
  const element = h(
    'div',
    { class: 'camera compare' },
    h('div', { class: 'camera-head' }, back, title, about, actions),
    main,
    side,
  );

  let stage: CompareStage | undefined;
  let closed = false;
  /** What stands in the main part, so that it is built only when it is another. */
  let shown = '';

  const say = (heading: string, text: string, ...more: Node[]): void => {
    side.replaceChildren();
    main.replaceChildren(h('div', { class: 'empty' }, h('h2', {}, heading), h('p', {}, text), ...more));
  };
  const home = (): Node => h('p', {}, h('a', { href: '/files' }, 'All files'));

  const end = async (job: JobStatus): Promise<void> => {
    try {
      const after = await api.endJob(job.id);
      if (after) jobs.put(after);
      else {
        context.navigate('/files');
        jobs.drop(job.id);
      }
      context.toast(`${job.name} ${after ? 'cancelled' : 'removed'}.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) context.recheckSession();
      context.toast(`Not done: ${error.message}`, 'error');
    }
  };

  const open = async (job: JobStatus): Promise<void> => {
    try {
      const { times } = await api.frameTimes(job);
      if (closed || shown !== 'done') return;
      if (times.length === 0) return say('There are no frames', 'The result holds no picture.');
      stage = new CompareStage(context, job, times);
      main.replaceChildren(stage.element);
      side.replaceChildren(...jobFacts(job));
    } catch (error) {
      if (closed || shown !== 'done') return;
      if (error instanceof ApiError && error.status === 401) context.recheckSession();
      const why = error instanceof ApiError ? error.message : String(error);
      const again = h(
        'button',
        { class: 'button', type: 'button', onclick: () => void open(job) },
        'Try again',
      );
      say('The frames cannot be shown', sentence(why), again);
    }
  };

  const waiting = {
    bar: new ProgressBar('Progress'),
    figure: h('b', { class: 'big-figure' }),
    line: h('p', { class: 'file-line' }),
  };

  const update = (): void => {
    if (closed) return;
    const job = jobs.get(id);
    if (job === undefined) {
      missing();
      return;
    }
    const { state, name } = job;
    setText(title, name);
    title.title = name;
    setText(about, orderLine(job));
    about.title = orderLine(job);
    const done = share(job);
    document.title = `${state === 'running' && done !== undefined ? `${Math.floor(done * 100)} % · ` : ''}${name} · Clearway`;
    if (!isOver(job)) {
      const line = jobLine(job, 0);
      waiting.bar.set(done, line);
      setText(waiting.figure, done === undefined ? '' : `${Math.floor(done * 100)} %`);
      setText(waiting.line, line);
    }
    if (shown === state) return;
    shown = state;
    stage?.close();
    stage = undefined;
    const remove = () => void end(job);
    actions.replaceChildren(
      ...(state === 'done' ? [downloadLink(job, true)] : []),
      isOver(job)
        ? sureButton('trash', 'Remove', 'Remove with its files', name, remove)
        : sureButton('close', 'Cancel', 'Cancel it', name, remove),
    );
    if (state === 'done') {
      main.replaceChildren(h('p', { class: 'hint' }, 'Opening the frames.'));
      void open(job);
    } else if (isOver(job)) {
      const words = state === 'failed' ? 'It could not be restored' : 'It was cancelled';
      const why =
        state === 'failed' ? jobLine(job, 0) : 'Nothing of it is kept. Drop the file again to restore it.';
      say(words, why, home());
    } else {
      side.replaceChildren();
      main.replaceChildren(
        h(
          'div',
          { class: 'empty under-way' },
          originalPicture(job),
          waiting.figure,
          waiting.bar.element,
          waiting.line,
        ),
      );
    }
  };

  const missing = (): void => {
    const { service } = jobs;
    const now = service.kind === 'on' ? 'missing' : service.kind;
    if (shown === now || (shown === 'error' && now === 'unknown')) return;
    shown = now;
    stage?.close();
    stage = undefined;
    actions.replaceChildren();
    if (service.kind === 'off') say('No files here', sentence(service.why));
    else if (service.kind === 'on') say('There is no such file', 'It may have been removed.', home());
    else main.replaceChildren(h('p', { class: 'hint' }, 'Asking the gateway.'));
  };

  const load = async (): Promise<void> => {
    try {
      await jobs.load();
      // Older than those that are listed, perhaps.
      if (jobs.service.kind === 'on' && jobs.get(id) === undefined) jobs.put(await api.job(id));
    } catch (error) {
      if (closed || !(error instanceof ApiError) || error.status === 404) return;
      if (error.status === 401) return context.recheckSession();
      if (jobs.get(id) === undefined) {
        shown = 'error';
        say('The gateway does not answer', 'This page fills itself as soon as it is back.');
      }
    }
  };

  let wasConnected = store.connected;
  store.watch(() => {
    if (store.connected && !wasConnected) {
      stage?.retry();
      void load();
    }
    wasConnected = store.connected;
  }, abort.signal);
  jobs.watch(update, abort.signal);
  document.addEventListener(
    'keydown',
    (event) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !stage) return;
      if (document.querySelector('dialog[open]')) return;
      const target = event.target instanceof Element ? event.target : undefined;
      // Sliders and radios keep their arrows, buttons their space; letters mean the same everywhere.
      if (target?.closest('input, .divider') && /^(Arrow|Home|End|Page)/.test(event.key) && !event.shiftKey)
        return;
      if (target?.closest('button, a, select') && event.key === ' ') return;
      if (stage.key(event)) event.preventDefault();
    },
    { signal: abort.signal },
  );
  update();
  if (jobs.get(id) === undefined || jobs.service.kind !== 'on') void load();

  return {
    element,
    title: `${jobs.get(id)?.name ?? 'File'} · Clearway`,
    dispose() {
      closed = true;
      abort.abort();
      stage?.close();
    },
  };
}
