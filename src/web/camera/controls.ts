import type { StreamStatus } from '../../contracts/stream.ts';
import { ApiError, api, type CameraSettings } from '../core/api.ts';
import { type Context, mayEdit } from '../core/context.ts';
import { slider } from '../core/controls.ts';
import { h, setText, uid } from '../core/dom.ts';
import { modelOptions } from '../core/models.ts';
import { sentence } from '../core/state.ts';
import { SettingsSync } from './settings-sync.ts';

type Live = Pick<CameraSettings, 'model' | 'strength' | 'smoothing'>;

/** Model, strength and smoothing, applied while the picture runs. */
export class Controls {
  readonly element: HTMLElement;
  readonly #context: Context;
  readonly #name: string;
  readonly #sync: SettingsSync<Live>;
  readonly #model = h('select', { disabled: true });
  readonly #strength = slider('Strength', 'untouched', 'full');
  readonly #smoothing = slider('Smoothing', 'off', 'steady');
  readonly #reason = h('p', { class: 'reason' });
  readonly #error = h('p', { class: 'field-error', role: 'alert' });

  constructor(context: Context, name: string) {
    this.#context = context;
    this.#name = name;
    this.#sync = new SettingsSync<Live>(
      (patch) => api.update(name, patch).then((status) => context.store.put(status)),
      (settings) => this.#show(settings),
      (error) => {
        if (error instanceof ApiError && error.status === 401) context.recheckSession();
        setText(this.#error, error === undefined ? '' : `Not changed: ${(error as Error).message}`);
      },
    );
    const modelId = uid('model');
    this.#model.id = modelId;
    this.#model.addEventListener('change', () => this.#sync.change({ model: this.#model.value }, true));
    for (const [key, { input }] of [
      ['strength', this.#strength],
      ['smoothing', this.#smoothing],
    ] as const) {
      input.addEventListener('input', () => this.#sync.change({ [key]: Number(input.value) / 100 }, false));
      input.addEventListener('change', () => this.#sync.flush());
    }
    this.element = h(
      'section',
      { class: 'panel controls', 'aria-labelledby': `${modelId}-title` },
      h('h2', { id: `${modelId}-title` }, 'Restoration'),
      h('div', { class: 'field' }, h('label', { for: modelId }, 'Model'), this.#model),
      this.#reason,
      this.#strength.element,
      this.#smoothing.element,
      this.#error,
    );
    void this.#load();
  }

  update(status: StreamStatus): void {
    const { restoration } = status;
    setText(this.#reason, sentence(restoration?.reason ?? ''));
    this.#reason.hidden = restoration === undefined;
    // What another page or the file changed; the model may be `auto`, which only the settings say.
    if (restoration) {
      this.#sync.heard({ strength: restoration.strength, smoothing: restoration.smoothing });
    }
  }

  /** Sends what is still held back. */
  close(): void {
    this.#sync.flush();
  }

  async #load(): Promise<void> {
    const [models, stream] = await Promise.allSettled([api.models(), api.stream(this.#name)]);
    this.#model.replaceChildren(
      ...modelOptions(
        models.status === 'fulfilled' ? models.value : [],
        'Automatic: the best this host sustains',
      ),
    );
    if (stream.status === 'fulfilled') {
      const { settings, restoration } = stream.value;
      this.#sync.heard({
        model: settings?.model ?? (settings ? 'auto' : (restoration?.model ?? 'auto')),
        strength: settings?.strength ?? restoration?.strength ?? 1,
        smoothing: settings?.smoothing ?? restoration?.smoothing ?? 0.5,
      });
    }
    const disabled = !mayEdit(this.#context, this.#name);
    for (const control of [this.#model, this.#strength.input, this.#smoothing.input])
      control.disabled = disabled;
    if (disabled) setText(this.#error, 'Only people with the admin role change these.');
  }

  #show(settings: Partial<Live>): void {
    if (settings.model !== undefined) {
      if (![...this.#model.options].some(({ value }) => value === settings.model)) {
        this.#model.append(h('option', { value: settings.model }, settings.model));
      }
      this.#model.value = settings.model;
    }
    if (settings.strength !== undefined) this.#strength.show(settings.strength);
    if (settings.smoothing !== undefined) this.#smoothing.show(settings.smoothing);
  }
}
