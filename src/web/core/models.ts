import type { ModelInfo } from '../../contracts/control.ts';
import { h } from './dom.ts';

/** Options of a model choice: automatic (in the given words), every restorer, none. */
export function modelOptions(models: readonly ModelInfo[], automatic: string): HTMLOptionElement[] {
  const restorers = models.filter(
    ({ kind, name }) => kind === 'restorer' && name !== 'auto' && name !== 'none',
  );
  return [
    h('option', { value: 'auto' }, automatic),
    ...restorers.map(({ name, description, error }) =>
      error === undefined
        ? h('option', { value: name }, description ? `${name}: ${description}` : name)
        : h('option', { value: name, disabled: true }, `${name} (not usable)`),
    ),
    h('option', { value: 'none' }, 'None: the picture passes through'),
  ];
}
