import { h, setText, uid } from './dom.ts';
import { type IconName, icon } from './icons.ts';

export interface IconButton {
  element: HTMLButtonElement;
  show(name: IconName, label: string, pressed?: boolean): void;
}

/** A button that is an icon; its name is read out and shown as a hint. */
export function iconButton(name: IconName, label: string, onclick: () => void): IconButton {
  const text = h('span', { class: 'sr' }, label);
  const element = h(
    'button',
    { class: 'icon-button', type: 'button', title: label, onclick },
    icon(name),
    text,
  );
  return {
    element,
    show(next, said, pressed) {
      element.replaceChildren(icon(next), text);
      element.title = said;
      setText(text, said);
      if (pressed !== undefined) element.setAttribute('aria-pressed', String(pressed));
    },
  };
}

export interface Choice<T extends string> {
  element: HTMLElement;
  readonly inputs: readonly HTMLInputElement[];
  show(value: T): void;
}

/** One of a few, side by side. */
export function segmented<T extends string>(
  label: string,
  choices: readonly (readonly [T, string])[],
  chosen: (value: T) => void,
): Choice<T> {
  const group = uid('choice');
  const inputs = choices.map(([value]) =>
    h('input', { type: 'radio', name: group, value, onchange: () => chosen(value) }),
  );
  const labels = choices.map(([, text], index) => h('label', {}, inputs[index], h('span', {}, text)));
  return {
    element: h('div', { class: 'segmented', role: 'radiogroup', 'aria-label': label }, ...labels),
    inputs,
    show(value) {
      for (const input of inputs) input.checked = input.value === value;
    },
  };
}

/** One slider 0..100 for a setting 0..1. */
export function slider(label: string, low: string, high: string) {
  const id = uid('slider');
  const output = h('output', { for: id });
  const input = h('input', { id, type: 'range', min: 0, max: 100, step: 1, disabled: true });
  const element = h(
    'div',
    { class: 'slider' },
    h('label', { for: id }, label),
    output,
    input,
    h('div', { class: 'slider-ends', 'aria-hidden': 'true' }, h('span', {}, low), h('span', {}, high)),
  );
  const show = (value: number): void => {
    const whole = Math.round(value * 100);
    input.value = String(whole);
    input.style.setProperty('--value', `${whole}%`);
    input.setAttribute('aria-valuetext', `${whole} %`);
    setText(output, `${whole} %`);
  };
  return { element, input, show };
}
