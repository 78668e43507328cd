import { isOver, type JobStatus } from '../../contracts/jobs.ts';
import { ApiError, api } from '../core/api.ts';
import type { Context, View } from '../core/context.ts';
import { h, setText } from '../core/dom.ts';
import { bytes, duration } from '../core/format.ts';
import { sentence } from '../core/state.ts';
import { DropZone } from './drop-zone.ts';
import { JobRow, SendingRow } from './row.ts';
import { Settings } from './settings.ts';
import { UrlForm } from './url-form.ts';
import { share } from './words.ts';

function summary(jobs: readonly JobStatus[]): string {
  const count = (state: JobStatus['state']): number => jobs.filter((job) => job.state === state).length;
  const parts = [
    [count('running'), 'running'],
    [count('queued'), 'waiting'],
    [count('done'), 'done'],
    [count('failed'), 'failed'],
  ] as const;
  return parts
    .filter(([number]) => number > 0)
    .map((part) => part.join(' '))
    .join(' · ');
}

/** How many files are restored before a waiting one. Other people's files are not known here, so it is at least so many. */
function ahead(jobs: readonly JobStatus[], { created }: JobStatus): number {
  return jobs.filter((job) => !isOver(job) && (job.state === 'running' || job.created < created)).length;
}

/** Files: where they are dropped, how they are to be restored, and how far each is. */
export function filesView(context: Context): View {
  const { jobs, uploads, store, events, session } = context;
  const abort = new AbortController();
  const sending = new Map<string, SendingRow>();
  const rows = new Map<string, JobRow>();
  const title = h('h1', { tabindex: -1 }, 'Files');
  const head = h('p', { class: 'wall-summary' });
  const list = h('ul', { class: 'file-list', 'aria-label': 'Files being restored' });
  const message = h('div', { class: 'empty' });
  const settings = new Settings();
  const add = (files: File[]): void => {
    const { service } = jobs;
    if (service.kind !== 'on') return;
    for (const file of files) uploads.add(file, settings.choices, service.limits.maxUpload);
  };
  const urls = new UrlForm(context, () => settings.choices, context.accepted);
  const zone = new DropZone({ files: add, odd: (why) => context.toast(why, 'error') });
  const element = h(
    'div',
    { class: 'files' },
    h('div', { class: 'wall-head' }, title, head),
    message,
    h('div', { class: 'adding' }, zone.element, urls.element),
    h('div', { class: 'side' }, settings.element),
    list,
  );

  const end = async (job: JobStatus): Promise<void> => {
    const over = isOver(job);
    try {
      const after = await api.endJob(job.id);
      if (after) jobs.put(after);
      else jobs.drop(job.id);
      context.toast(over ? `${job.name} removed.` : `${job.name} cancelled.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) context.recheckSession();
      if (error.status === 404) jobs.drop(job.id);
      context.toast(`Not done: ${error.message}`, 'error');
    }
    // The button that had the focus may have gone with its row.
    if (document.activeElement === document.body) title.focus({ preventScroll: true });
  };

  let failure = '';
  const say = (words: { title: string; text: string } | undefined): void => {
    message.hidden = words === undefined;
    const key = JSON.stringify(words);
    if (words === undefined || message.dataset.said === key) return;
    message.dataset.said = key;
    message.replaceChildren(...(words.title ? [h('h2', {}, words.title)] : []), h('p', {}, words.text));
  };

  const update = (): void => {
    const { service } = jobs;
    const known = jobs.list();
    const under = uploads.list();
    const on = service.kind === 'on';
    setText(head, summary(known));
    element.dataset.stale = String(!store.connected && store.loaded);
    element.dataset.busy = String(known.length + under.length > 0);
    zone.element.hidden = !on;
    urls.element.hidden = !(on && service.limits.urls);
    settings.element.hidden = !on;
    if (on) {
      const { maxUpload, maxDuration } = service.limits;
      zone.hint = `MP4, MOV, MKV, AVI, WebM, TS and what else ffmpeg opens, at most ${bytes(maxUpload)} and ${duration(maxDuration)} each.`;
    }
    if (service.kind === 'off') say({ title: 'No files here', text: sentence(service.why) });
    else if (service.kind === 'unknown') {
      say(
        failure === ''
          ? { title: '', text: 'Asking the gateway.' }
          : { title: 'The gateway does not answer', text: failure },
      );
    } else say(undefined);

    sync(
      sending,
      under,
      ({ id }) => id,
      (item) => new SendingRow(item, uploads),
    );
    for (const item of under) sending.get(item.id)!.update(item);
    sync(
      rows,
      known,
      ({ id }) => id,
      (job) => new JobRow(job, (owner) => session.auth && owner !== session.user?.name, { end }),
    );
    const now = events.clock.now();
    for (const job of known) rows.get(job.id)!.update(job, ahead(known, job), now);
    const order = [...under.map(({ id }) => sending.get(id)!), ...known.map(({ id }) => rows.get(id)!)];
    for (const [index, row] of order.entries()) {
      if (list.children[index] !== row.element) list.insertBefore(row.element, list.children[index] ?? null);
    }
    const running = known.find(({ state }) => state === 'running');
    const done = running && share(running);
    document.title = `${done === undefined ? '' : `${Math.floor(done * 100)} % · `}Files · Clearway`;
  };

  const load = (): void => {
    jobs.load().then(
      () => {
        failure = '';
        update();
      },
      (error: unknown) => {
        failure = 'This page keeps trying and fills itself as soon as the gateway is back.';
        if (error instanceof ApiError && error.status === 401) context.recheckSession();
        else if (error instanceof ApiError && error.status !== 0) failure = sentence(error.message);
        update();
      },
    );
  };

  let wasConnected = store.connected;
  store.watch(() => {
    // Back again, perhaps as another gateway with other limits.
    if (store.connected && !wasConnected) load();
    wasConnected = store.connected;
    update();
  }, abort.signal);
  jobs.watch(update, abort.signal);
  uploads.watch(update, abort.signal);
  const tick = window.setInterval(update, 5_000);
  load();
  update();

  return {
    element,
    title: 'Files · Clearway',
    dispose() {
      clearInterval(tick);
      abort.abort();
      zone.close();
    },
  };
}

/** Makes rows for what is new and closes those of what is gone. */
function sync<T, R extends { close(): void }>(
  rows: Map<string, R>,
  items: readonly T[],
  key: (item: T) => string,
  make: (item: T) => R,
): void {
  const keys = new Set(items.map(key));
  for (const [id, row] of rows) {
    if (keys.has(id)) continue;
    row.close();
    rows.delete(id);
  }
  for (const item of items) if (!rows.has(key(item))) rows.set(key(item), make(item));
}
