import { h } from '../core/dom.ts';

const KEYS: [string[], string][] = [
  [['←', '→'], 'Move the divider by 1 %'],
  [['Page Up', 'Page Down'], 'Move the divider by 10 %'],
  [['Home', 'End'], 'All restored, all camera'],
  [['c'], 'Compare'],
  [['r'], 'Restored only'],
  [['s'], 'Camera only'],
  [['m'], 'Sound on or off'],
  [['d'], 'Save a still'],
  [['p'], 'Picture in picture'],
  [['f'], 'Full screen'],
  [['?'], 'This list'],
];

/** The keys of the camera page; Escape closes it. */
export function openHelp(): void {
  const dialog = h(
    'dialog',
    { class: 'sheet help', 'aria-label': 'Keys' },
    h('h2', {}, 'Keys'),
    h(
      'dl',
      {},
      ...KEYS.map(([keys, what]) =>
        h('div', {}, h('dt', {}, ...keys.map((key) => h('kbd', {}, key))), h('dd', {}, what)),
      ),
    ),
    h('p', { class: 'hint' }, 'Drag anywhere on the picture to move the divider; a double click centres it.'),
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
