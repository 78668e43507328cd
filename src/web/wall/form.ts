import { ApiError, api, type CameraSettings } from '../core/api.ts';
import type { Context } from '../core/context.ts';
import { segmented } from '../core/controls.ts';
import { h, setText, uid } from '../core/dom.ts';
import { icon } from '../core/icons.ts';
import { titleOf } from '../core/state.ts';
import { newKey, pushAddress, pushGuide } from './push.ts';

const FIELDS = ['name', 'title', 'source', 'key', 'transport', 'onDemand'] as const;
type Field = (typeof FIELDS)[number];

/** Which field a problem is about, from its code or from the `field: ` its sentence begins with. */
export function fieldOf(problem: ApiError): { field: Field | undefined; message: string } {
  const { code, message } = problem;
  const said = /^(?:[\w-]+\.)*(name|title|source|key|transport|onDemand): (.+)$/s.exec(message);
  if (said) return { field: said[1] as Field, message: said[2] ?? message };
  if (code === 'CLEARWAY_STREAM_EXISTS') return { field: 'name', message };
  if (code === 'CLEARWAY_URL_REFUSED' || code.startsWith('CLEARWAY_SOURCE_'))
    return { field: 'source', message };
  // Beyond this host RTMP is only taken with a key.
  if (code === 'CLEARWAY_BIND_REFUSED') return { field: 'key', message };
  return { field: undefined, message };
}

interface Row {
  element: HTMLElement;
  hint: HTMLElement;
  error: HTMLElement;
}

function row(label: string, input: HTMLElement, says: string, ...beside: HTMLElement[]): Row {
  const [id, hintId, errorId] = [uid('field'), uid('hint'), uid('error')];
  input.id = id;
  input.setAttribute('aria-describedby', `${hintId} ${errorId}`);
  const error = h('p', { class: 'field-error', id: errorId, role: 'alert' });
  const check = input.getAttribute('type') === 'checkbox';
  const name = h('label', { for: id }, label);
  const hint = h('p', { class: 'hint', id: hintId }, says);
  const filled = beside.length > 0 ? h('div', { class: 'beside' }, input, ...beside) : input;
  const element = h(
    'div',
    { class: check ? 'field check' : 'field' },
    ...(check ? [input, name] : [name, filled]),
    hint,
    error,
  );
  return { element, hint, error };
}

/** The dialog that adds a camera, or edits and removes the one named `editing`. */
export function openCameraForm(context: Context, editing?: string): void {
  const name = h('input', { required: true, maxlength: 64, autocomplete: 'off', spellcheck: 'false' });
  const title = h('input', { maxlength: 80, autocomplete: 'off' });
  const source = h('input', { required: true, maxlength: 2048, autocomplete: 'off', spellcheck: 'false' });
  source.placeholder = 'rtsp://user:password@192.168.1.20/stream1';
  name.placeholder = 'front-door';
  const transport = h(
    'select',
    {},
    h('option', { value: 'auto' }, 'Automatic'),
    h('option', { value: 'tcp' }, 'TCP'),
    h('option', { value: 'udp' }, 'UDP'),
  );
  const onDemand = h('input', { type: 'checkbox' });
  const key = h('input', { maxlength: 256, autocomplete: 'off', spellcheck: 'false' });
  const another = h('button', { class: 'button', type: 'button' }, 'New key');
  another.addEventListener('click', () => {
    key.value = newKey();
  });
  const noKey = h('button', { class: 'button', type: 'button', hidden: true });
  let keyless = false;
  /** Whether the key that is set is to be removed; one that is typed replaces it all the same. */
  const removeKey = (yes: boolean): void => {
    keyless = yes;
    key.placeholder = before.key === undefined || yes ? 'none' : 'set, not shown';
    setText(noKey, yes ? 'Keep the key' : 'No key');
  };
  noKey.addEventListener('click', () => {
    key.value = '';
    removeKey(!keyless);
  });
  const sourceHint =
    editing === undefined
      ? 'rtsp, rtsps, rtmp, rtmps, srt, http or https.'
      : 'Passwords are hidden here. To change one, type the whole address again.';
  const rows = {
    name: row('Name', name, 'Letters, digits, - and _. It becomes part of the addresses.'),
    title: row('Title', title, 'Any words, shown in place of the name. It may stay empty.'),
    source: row('Camera address', source, sourceHint),
    key: row('Stream key', key, 'Whoever pushes must know it. Where to push comes next.', another, noKey),
    transport: row('RTSP transport', transport, 'Automatic tries TCP first, then UDP.'),
    onDemand: row(
      'Connect only while somebody watches',
      onDemand,
      'Saves camera and network; the first picture takes longer.',
    ),
  };
  /** What the form showed at first: only what differs is sent, so that a new camera has the file's defaults. */
  let before: Partial<CameraSettings> = { transport: 'auto', onDemand: false };
  let pushed = false;
  const ways = segmented(
    'How the picture comes',
    [
      ['pull', 'Clearway connects'],
      ['push', 'It pushes RTMP'],
    ],
    (way) => show(way === 'push'),
  );
  const show = (push: boolean): void => {
    pushed = push;
    ways.show(push ? 'push' : 'pull');
    for (const { element } of [rows.source, rows.transport]) element.hidden = push;
    rows.key.element.hidden = !push;
    if (push && before.source !== 'push' && key.value === '') key.value = newKey();
  };
  show(false);
  const failed = h('p', { class: 'form-error', role: 'alert' });
  const save = h(
    'button',
    { class: 'button primary', type: 'submit' },
    editing === undefined ? 'Add camera' : 'Save',
  );
  const cancel = h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, 'Cancel');
  const remove = h('button', { class: 'button danger', type: 'button' }, icon('trash'), 'Remove');
  const known = editing === undefined ? undefined : context.store.get(editing);
  const who = known ? titleOf(known) : (editing ?? '');
  const heading = h('h2', { id: uid('title') }, editing === undefined ? 'Add camera' : `Edit ${who}`);
  const fields = h(
    'div',
    { class: 'fields' },
    editing === undefined && rows.name.element,
    rows.title.element,
    h('div', { class: 'field' }, h('span', { class: 'label' }, 'How the picture comes'), ways.element),
    rows.source.element,
    rows.key.element,
    rows.transport.element,
    rows.onDemand.element,
  );
  const form = h(
    'form',
    { novalidate: true },
    heading,
    fields,
    failed,
    h(
      'div',
      { class: 'dialog-actions' },
      editing !== undefined && remove,
      h('span', { class: 'gap' }),
      cancel,
      save,
    ),
  );
  const dialog = h('dialog', { class: 'sheet', 'aria-labelledby': heading.id }, form);
  dialog.addEventListener('close', () => dialog.remove());

  if (editing !== undefined) {
    const fill = (settings: Partial<CameraSettings>): void => {
      before = { source: '', transport: 'auto', onDemand: false, ...settings };
      const push = before.source === 'push';
      title.value = before.title ?? '';
      source.value = push ? '' : (before.source ?? '');
      removeKey(false);
      noKey.hidden = before.key === undefined;
      show(push);
      transport.value = before.transport ?? 'auto';
      onDemand.checked = before.onDemand ?? false;
    };
    const { source: address = '', title: words, onDemand: sleeps = false } = known ?? {};
    fill({ source: address, onDemand: sleeps, ...(words === undefined ? {} : { title: words }) });
    // What is typed before the settings are here would be lost when they come.
    fields.inert = true;
    save.disabled = true;
    Promise.all([api.stream(editing), api.rtmp()]).then(
      ([{ settings }, rtmp]) => {
        if (settings) fill(settings);
        const { url } = pushAddress(rtmp, location.hostname, editing, '');
        setText(rows.key.hint, `Pushed to ${url}?key=… A new key must go to the camera or encoder, too.`);
        fields.inert = false;
        save.disabled = false;
        title.focus();
      },
      (error: unknown) => {
        explain(error);
        if (error instanceof ApiError && error.status === 0)
          setText(failed, `${error.message} Close this and open it again.`);
      },
    );
  }

  const clear = (): void => {
    setText(failed, '');
    for (const field of FIELDS) setText(rows[field].error, '');
    for (const input of Object.values(inputs)) input.removeAttribute('aria-invalid');
  };
  const inputs: Record<Field, HTMLElement> = { name, title, source, key, transport, onDemand };
  const blame = (field: Field, message: string): void => {
    setText(rows[field].error, message);
    inputs[field].setAttribute('aria-invalid', 'true');
    inputs[field].focus();
  };
  const explain = (error: unknown): void => {
    const problem = error instanceof ApiError ? error : new ApiError(0, 'UNREACHABLE', String(error));
    const { field, message } = fieldOf(problem);
    const unseen = field === undefined || rows[field].element.hidden || !rows[field].element.isConnected;
    if (unseen) setText(failed, message);
    else blame(field, message);
    if (problem.status === 401) context.recheckSession();
  };

  const showGuide = (said: string, guide: HTMLElement): void => {
    const done = h('button', { class: 'button primary', type: 'button' }, 'Done');
    done.addEventListener('click', () => dialog.close());
    setText(heading, said);
    dialog.replaceChildren(
      heading,
      guide,
      h('div', { class: 'dialog-actions' }, h('span', { class: 'gap' }), done),
    );
    done.focus();
  };

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clear();
    const called = editing ?? name.value.trim();
    const words = title.value.trim();
    const secret = pushed ? key.value.trim() : '';
    const wanted: Partial<CameraSettings> & { source: string } = {
      source: pushed ? 'push' : source.value.trim(),
      onDemand: onDemand.checked,
      ...(pushed ? {} : { transport: transport.value as CameraSettings['transport'] }),
      ...(secret === '' ? {} : { key: secret }),
      ...(words === '' ? {} : { title: words }),
    };
    if (wanted.source === '') return blame('source', 'Where is the camera?');
    if (!/^([a-z][a-z0-9+.-]*:|push$|demo$)/i.test(wanted.source)) {
      return blame('source', 'Write the whole address, from rtsp:// on.');
    }
    if (wanted.source !== before.source && wanted.source.includes('***')) {
      return blame('source', '*** stands for what is hidden: type the whole address again.');
    }
    if (editing === undefined && !/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(called)) {
      return blame('name', 'Use 1 to 64 letters, digits, - or _, starting with a letter or digit.');
    }
    save.disabled = true;
    try {
      // Asked first: once the camera is there, the key must be shown.
      const rtmp = secret === '' ? undefined : await api.rtmp();
      const told = {
        ...wanted,
        ...(pushed && keyless && secret === '' ? { key: null } : {}),
        ...(words === '' && before.title !== undefined ? { title: null } : {}),
      };
      const changed = Object.entries(told).filter(
        ([setting, value]) => before[setting as keyof CameraSettings] !== value,
      );
      const settings = Object.fromEntries(changed);
      if (editing === undefined) context.store.put(await api.create({ name: called, ...settings }));
      else if (changed.length > 0) context.store.put(await api.update(editing, settings));
      const shown = words || called;
      const said = editing === undefined ? `${shown} added.` : `${shown} saved.`;
      if (rtmp) return showGuide(said, pushGuide(rtmp, called, secret));
      dialog.close();
      context.toast(said);
    } catch (error) {
      explain(error);
    } finally {
      save.disabled = false;
    }
  });

  remove.addEventListener('click', async () => {
    if (remove.dataset.sure === undefined) {
      remove.dataset.sure = '';
      remove.replaceChildren(icon('trash'), `Remove ${who} for everybody`);
      return;
    }
    if (editing === undefined) return;
    remove.disabled = true;
    try {
      await api.remove(editing);
      dialog.close();
      context.store.drop(editing);
      context.toast(`${who} removed.`);
      if (location.pathname !== '/') context.navigate('/');
      // The button that opened this is gone with its card.
      else document.getElementById('main')?.focus({ preventScroll: true });
    } catch (error) {
      explain(error);
      remove.disabled = false;
    }
  });
  remove.addEventListener('blur', () => {
    delete remove.dataset.sure;
    remove.replaceChildren(icon('trash'), 'Remove');
  });

  document.body.append(dialog);
  dialog.showModal();
  if (editing === undefined) name.focus();
}
