import { iconButton } from './controls.ts';
import { h, setText } from './dom.ts';

const SAID_MS = 2_000;

/** A value to be used elsewhere, under its label, with a button that copies it. */
export function copyRow(label: string, value: string): HTMLElement {
  // Broken where addresses are, if it must be.
  const parts = value.split(/(?<=[/?&])/).flatMap((part) => [part, h('wbr')]);
  const code = h('code', {}, ...parts);
  const said = h('span', { class: 'sr', role: 'status' });
  const name = `Copy: ${label}`;
  let calm = 0;
  const button = iconButton('copy', name, async () => {
    const done = await copied(code);
    clearTimeout(calm);
    button.show(done ? 'check' : 'copy', name);
    setText(said, done ? 'Copied.' : 'The browser does not allow copying here; it is selected instead.');
    calm = window.setTimeout(() => {
      button.show('copy', name);
      setText(said, '');
    }, SAID_MS);
  });
  return h('div', { class: 'link-row' }, h('dt', {}, label), h('dd', {}, code, button.element, said));
}

/** Copies an element's text; where that is not allowed, leaves it selected. */
async function copied(element: HTMLElement): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(element.textContent ?? '');
    return true;
  } catch {
    // Only https and localhost have a clipboard; a selection can be copied everywhere.
    getSelection()?.selectAllChildren(element);
    return document.execCommand('copy');
  }
}
