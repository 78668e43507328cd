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
  #loading = false;
  #inUse: string | undefined;

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
    void this.load();
  }

  update(status: StreamStatus): void {
    const { restoration } = status;
    setText(this.#reason, sentence(restoration?.reason ?? ''));
    this.#reason.hidden = restoration === undefined;
    if (restoration === undefined) return;
    // What another page or the file changed; the model may be `auto`, which only the settings say.
    this.#sync.heard({ strength: restoration.strength, smoothing: restoration.smoothing });
    if (this.#inUse !== undefined && this.#inUse !== restoration.model) void this.load();
    this.#inUse = restoration.model;
  }

  /** Sends what is still held back. */
  close(): void {
    this.#sync.flush();
  }

  /** Asks for the models there are and for what is set; until both are known nothing can be changed. */
  async load(): Promise<void> {
    if (this.#loading) return;
    this.#loading = true;
    try {
      const [models, { settings, restoration }] = await Promise.all([api.models(), api.stream(this.#name)]);
      this.#model.replaceChildren(...modelOptions(models, 'Automatic: the best this host sustains'));
      this.#sync.heard({
        model: settings?.model ?? (settings ? 'auto' : (restoration?.model ?? 'auto')),
        strength: settings?.strength ?? restoration?.strength ?? 1,
        smoothing: settings?.smoothing ?? restoration?.smoothing ?? 0.5,
      });
      const disabled = !mayEdit(this.#context, this.#name);
      for (const control of [this.#model, this.#strength.input, this.#smoothing.input])
        control.disabled = disabled;
      setText(this.#error, disabled ? 'Only people with the admin role change these.' : '');
    } catch (error) {
      setText(this.#error, `The settings are not known: ${sentence((error as Error).message)}`);
    }
    this.#loading = false;
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
