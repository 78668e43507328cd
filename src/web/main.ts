import type { JobStatus } from '../contracts/jobs.ts';
import { cameraView } from './camera/camera.ts';
import { ApiError, api, type Session } from './core/api.ts';
import type { Context, View } from './core/context.ts';
import { h } from './core/dom.ts';
import { Events } from './core/events.ts';
import { Store } from './core/store.ts';
import { compareView } from './files/compare.ts';
import { filesView } from './files/files.ts';
import { Jobs } from './files/jobs.ts';
import { Uploads } from './files/uploads.ts';
import { loginView } from './login.ts';
import { Shell } from './shell.ts';
import { wallView } from './wall/wall.ts';

const store = new Store();
const jobs = new Jobs();
const uploads = new Uploads({ accepted, signedOut: () => void checkSession() });
const shell = new Shell(document.getElementById('app')!);
let wasLost = false;
const events = new Events({
  event: (event) => {
    const before = event.type === 'job' ? jobs.get(event.job.id)?.state : undefined;
    store.apply(event);
    jobs.apply(event);
    if (event.type === 'job' && before === 'running' && event.job.state !== before) ended(event.job);
  },
  connected: (connected) => {
    store.setConnected(connected);
    shell.setConnected(connected);
    // The gateway may have restarted with other users, or the login may have run out.
    if (!connected || wasLost) void checkSession();
    wasLost = !connected;
  },
});

/** The gateway took a file. */
function accepted(job: JobStatus): void {
  jobs.put(job);
  shell.toast(
    job.state === 'done'
      ? `${job.name} was restored like this before: here it is.`
      : `${job.name} is on its way.`,
  );
}

/** A job's end is said whatever view is open. */
function ended({ name, state }: JobStatus): void {
  if (state === 'done') shell.toast(`${name} is restored.`);
  if (state === 'failed') shell.toast(`${name} could not be restored.`, 'error');
}

let view: View | undefined;
let session: Session = { auth: false };

jobs.watch(
  () => shell.setWorking(jobs.list().filter(({ state }) => state === 'running').length),
  new AbortController().signal,
);

const context = (): Context => ({
  store,
  jobs,
  uploads,
  accepted,
  events,
  session,
  navigate,
  reopen: route,
  toast: (message, kind) => shell.toast(message, kind),
  recheckSession: () => void checkSession(),
});

function show(next: View): void {
  view?.dispose();
  // A dialog is about what was there: over the login it would keep people from signing in.
  for (const dialog of document.querySelectorAll('dialog')) dialog.close();
  view = next;
  document.title = next.title;
  shell.show(next.element);
}

/** Paths that are views of this page; every other link leaves it. */
const OURS = /^\/(?:$|streams\/|files(?:\/|$))/;

function route(): void {
  const name = /^\/streams\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  const file = /^\/files\/([^/]+)\/?$/.exec(location.pathname)?.[1];
  shell.setUser(session, signOut);
  shell.setPlace(location.pathname.startsWith('/files') ? 'files' : 'cameras');
  if (session.auth && session.user === undefined) {
    show(loginView(() => void start().then(() => shell.focus())));
    // The next person may not see all that this one did.
    store.reset();
  } else if (name !== undefined) show(cameraView(context(), decodeURIComponent(name)));
  else if (location.pathname === '/') show(wallView(context()));
  else if (file !== undefined) show(compareView(context(), decodeURIComponent(file)));
  else if (/^\/files\/?$/.test(location.pathname)) show(filesView(context()));
  else {
    const home = h('a', { href: '/' }, 'All cameras');
    const text = [h('h2', {}, 'There is no such page'), h('p', {}, home)];
    show({
      element: h('div', { class: 'empty' }, ...text),
      title: 'Not found · Clearway',
      dispose: () => {},
    });
  }
}

function navigate(path: string): void {
  history.pushState(null, '', path);
  route();
  scrollTo(0, 0);
  shell.focus();
}

async function signOut(): Promise<void> {
  try {
    await api.logout();
  } catch (error) {
    // The browser keeps its cookie: who left now would leave the page open to the next person.
    if (!(error instanceof ApiError && error.status === 401))
      return shell.toast(`You are still signed in: ${(error as Error).message}`, 'error');
  }
  events.stop();
  uploads.reset();
  jobs.reset();
  await start();
}

/**
 * Shows the login when a session ended, and what somebody may now do when that was changed; leaves everything as it is
 * while the gateway does not answer.
 */
async function checkSession(): Promise<void> {
  const now = await api.session().catch(() => undefined);
  if (now === undefined) return;
  const lost = now.auth && now.user === undefined && (!session.auth || session.user !== undefined);
  const changed = JSON.stringify(now) !== JSON.stringify(session);
  session = now;
  if (lost) events.stop();
  if (changed) route();
}

async function start(): Promise<void> {
  try {
    session = await api.session();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    // Without a session route there is no login; without an answer the events below keep asking.
    session = { auth: false };
  }
  route();
  if (session.auth && session.user === undefined) return;
  events.start();
  api.streams().then(
    (streams) => {
      if (!store.loaded) store.replace(streams);
    },
    (error: unknown) => {
      if (error instanceof ApiError && error.status >= 400 && error.status < 500) store.refuse(error.message);
    },
  );
}

addEventListener('popstate', route);
document.addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey)
    return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (link === null || link.target !== '' || link.hasAttribute('download')) return;
  const url = new URL(link.href);
  if (url.origin !== location.origin || !OURS.test(url.pathname)) return;
  if (url.hash !== '' && url.pathname === location.pathname) return;
  event.preventDefault();
  navigate(url.pathname);
});

void start();
