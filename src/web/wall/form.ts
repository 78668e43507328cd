import { ApiError, api, type CameraSettings } from '../core/api.ts';
import type { Context } from '../core/context.ts';
import { h, setText, uid } from '../core/dom.ts';
import { icon } from '../core/icons.ts';

const FIELDS = ['name', 'source', 'transport', 'onDemand'] as const;
type Field = (typeof FIELDS)[number];

/** Which field a problem is about, from its code or from the `field: ` its sentence begins with. */
export function fieldOf(problem: ApiError): { field: Field | undefined; message: string } {
  const { code, message } = problem;
  const said = /^(?:[\w-]+\.)*(name|source|transport|onDemand): (.+)$/s.exec(message);
  if (said) return { field: said[1] as Field, message: said[2] ?? message };
  if (code === 'CLEARWAY_STREAM_EXISTS') return { field: 'name', message };
  if (code === 'CLEARWAY_URL_REFUSED' || code.startsWith('CLEARWAY_SOURCE_'))
    return { field: 'source', message };
  return { field: undefined, message };
}

function row(label: string, input: HTMLElement, hint: string): { element: HTMLElement; error: HTMLElement } {
  const [id, hintId, errorId] = [uid('field'), uid('hint'), uid('error')];
  input.id = id;
  input.setAttribute('aria-describedby', `${hintId} ${errorId}`);
  const error = h('p', { class: 'field-error', id: errorId, role: 'alert' });
  const check = input.getAttribute('type') === 'checkbox';
  const name = h('label', { for: id }, label);
  const element = h(
    'div',
    { class: check ? 'field check' : 'field' },
    ...(check ? [input, name] : [name, input]),
    h('p', { class: 'hint', id: hintId }, hint),
    error,
  );
  return { element, error };
}

/** The dialog that adds a camera, or edits and removes the one named `editing`. */
export function openCameraForm(context: Context, editing?: string): void {
  const name = h('input', { required: true, maxlength: 64, autocomplete: 'off', spellcheck: 'false' });
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
  const sourceHint =
    editing === undefined
      ? 'rtsp, rtsps, rtmp, rtmps, srt, http or https. Write push to receive RTMP at /live/<name>.'
      : 'Passwords are hidden here. To change one, type the whole address again.';
  const rows = {
    name: row('Name', name, 'Letters, digits, - and _. It becomes part of the addresses.'),
    source: row('Camera address', source, sourceHint),
    transport: row('RTSP transport', transport, 'Automatic tries TCP first, then UDP.'),
    onDemand: row(
      'Connect only while somebody watches',
      onDemand,
      'Saves camera and network; the first picture takes longer.',
    ),
  };
  const failed = h('p', { class: 'form-error', role: 'alert' });
  const save = h(
    'button',
    { class: 'button primary', type: 'submit' },
    editing === undefined ? 'Add camera' : 'Save',
  );
  const cancel = h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, 'Cancel');
  const remove = h('button', { class: 'button danger', type: 'button' }, icon('trash'), 'Remove');
  const title = uid('title');
  const form = h(
    'form',
    { novalidate: true },
    h('h2', { id: title }, editing === undefined ? 'Add camera' : `Edit ${editing}`),
    editing === undefined && rows.name.element,
    rows.source.element,
    rows.transport.element,
    rows.onDemand.element,
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
  const dialog = h('dialog', { class: 'sheet', 'aria-labelledby': title }, form);
  dialog.addEventListener('close', () => dialog.remove());

  let before: Partial<CameraSettings> = {};
  if (editing !== undefined) {
    const fill = (settings: Partial<CameraSettings>): void => {
      before = { source: '', transport: 'auto', onDemand: false, ...settings };
      source.value = before.source ?? '';
      transport.value = before.transport ?? 'auto';
      onDemand.checked = before.onDemand ?? false;
    };
    const known = context.store.get(editing);
    fill({ source: known?.source ?? '', transport: 'auto', onDemand: known?.onDemand ?? false });
    save.disabled = true;
    api
      .stream(editing)
      .then(({ settings }) => settings && fill(settings))
      .catch((error: unknown) => setText(failed, String(error instanceof ApiError ? error.message : error)))
      .finally(() => {
        save.disabled = false;
      });
  }

  const clear = (): void => {
    setText(failed, '');
    for (const field of FIELDS) setText(rows[field].error, '');
    for (const input of [name, source, transport, onDemand]) input.removeAttribute('aria-invalid');
  };
  const inputs: Record<Field, HTMLElement> = { name, source, transport, onDemand };
  const blame = (field: Field, message: string): void => {
    setText(rows[field].error, message);
    inputs[field].setAttribute('aria-invalid', 'true');
    inputs[field].focus();
  };
  const explain = (error: unknown): void => {
    const problem = error instanceof ApiError ? error : new ApiError(0, 'UNREACHABLE', String(error));
    const { field, message } = fieldOf(problem);
    if (field === undefined || (field === 'name' && editing !== undefined)) setText(failed, message);
    else blame(field, message);
    if (problem.status === 401) context.recheckSession();
  };

  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    clear();
    const wanted = {
      source: source.value.trim(),
      transport: transport.value as CameraSettings['transport'],
      onDemand: onDemand.checked,
    };
    if (wanted.source === '') return blame('source', 'Where is the camera?');
    if (editing === undefined && !/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name.value.trim())) {
      return blame('name', 'Use 1 to 64 letters, digits, - or _, starting with a letter or digit.');
    }
    save.disabled = true;
    try {
      if (editing === undefined) {
        context.store.put(await api.create({ name: name.value.trim(), ...wanted }));
      } else {
        const changed = Object.entries(wanted).filter(
          ([key, value]) => before[key as keyof typeof wanted] !== value,
        );
        if (changed.length > 0) context.store.put(await api.update(editing, Object.fromEntries(changed)));
      }
      dialog.close();
      context.toast(editing === undefined ? `${name.value.trim()} added.` : `${editing} saved.`);
    } catch (error) {
      explain(error);
    } finally {
      save.disabled = false;
    }
  });

  remove.addEventListener('click', async () => {
    if (remove.dataset.sure === undefined) {
      remove.dataset.sure = '';
      remove.replaceChildren(icon('trash'), `Remove ${editing} for everybody`);
      return;
    }
    if (editing === undefined) return;
    remove.disabled = true;
    try {
      await api.remove(editing);
      dialog.close();
      context.store.drop(editing);
      context.toast(`${editing} removed.`);
      if (location.pathname !== '/') context.navigate('/');
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
  (editing === undefined ? name : source).focus();
}
