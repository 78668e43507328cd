import { h } from './dom.ts';

/** Keys and what they do. */
export type Keys = readonly (readonly [readonly string[], string])[];

/** A list of keys; Escape closes it. */
export function openHelp(keys: Keys, hint: string): void {
  const dialog = h(
    'dialog',
    { class: 'sheet help', 'aria-label': 'Keys' },
    h('h2', {}, 'Keys'),
    h(
      'dl',
      {},
      ...keys.map(([names, what]) =>
        h('div', {}, h('dt', {}, ...names.map((name) => h('kbd', {}, name))), h('dd', {}, what)),
      ),
    ),
    h('p', { class: 'hint' }, hint),
    h(
      'div',
      { class: 'dialog-actions' },
      h('span', { class: 'gap' }),
      h('button', { class: 'button', type: 'button', onclick: () => dialog.close() }, 'Close'),
    ),
  );
  dialog.addEventListener('close', () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
