import type { ModelInfo } from '../../contracts/control.ts';
import { CRF } from '../../contracts/file.ts';
import { type JobSettings, TARGETS } from '../../contracts/jobs.ts';
import { api, type FileChoices } from '../core/api.ts';
import { segmented, slider } from '../core/controls.ts';
import { h, setText, uid } from '../core/dom.ts';
import { codec as codecName } from '../core/format.ts';
import { modelOptions } from '../core/models.ts';

const KEY = 'clearway-files';
const DEFAULTS = {
  target_resolution: 'source',
  denoise_strength: 1,
  smoothing: 0.5,
  model: 'auto',
  codec: 'h264',
} as const satisfies FileChoices;

type Choices = Required<Omit<FileChoices, 'crf'>> & { crf?: number };
type Codec = JobSettings['codec'];

const TARGET_WORDS: Record<(typeof TARGETS)[number], string> = {
  source: 'As the original',
  '480p': '480p',
  '720p': '720p, HD',
  '1080p': '1080p, full HD',
  '2160p': '2160p, 4K',
};
const CODECS: readonly (readonly [Codec, string])[] = [
  ['h264', 'H.264'],
  ['hevc', 'H.265'],
  ['av1', 'AV1'],
];
const CODEC_HINTS: Record<Codec, string> = {
  h264: 'Plays everywhere.',
  hevc: 'Smaller; not every browser plays it.',
  av1: 'Smallest; takes longest, needs a recent player.',
};

/** What this device chose last; anything odd in the storage is left out. */
function remembered(): Choices {
  let stored: Partial<Choices> = {};
  try {
    stored = (JSON.parse(localStorage.getItem(KEY) ?? '{}') ?? {}) as Partial<Choices>;
  } catch {
    // Storage may be blocked, or hold something else.
  }
  const unit = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value <= 1;
  const choices: Choices = { ...DEFAULTS };
  if (TARGETS.some((target) => target === stored.target_resolution)) {
    choices.target_resolution = stored.target_resolution!;
  }
  if (unit(stored.denoise_strength)) choices.denoise_strength = stored.denoise_strength;
  if (unit(stored.smoothing)) choices.smoothing = stored.smoothing;
  if (typeof stored.model === 'string') choices.model = stored.model;
  if (CODECS.some(([codec]) => codec === stored.codec)) choices.codec = stored.codec!;
  if (Number.isInteger(stored.crf) && stored.crf! >= 0 && stored.crf! <= CRF[choices.codec].worst) {
    choices.crf = stored.crf!;
  }
  return choices;
}

/** How the next files are to be restored; remembered on this device. */
export class Settings {
  readonly element: HTMLElement;
  readonly #choices = remembered();
  readonly #model = h('select', { id: uid('model') });
  readonly #strength = slider('Strength', 'untouched', 'full');
  readonly #smoothing = slider('Smoothing', 'off', 'steady');
  readonly #quality = h('input', { id: uid('quality'), type: 'range', min: 0, step: 1 });
  readonly #qualityText = h('output', { for: this.#quality.id });
  readonly #short = h('span');
  readonly #codecHint = h('p', { class: 'hint' });

  constructor() {
    const choices = this.#choices;
    const target = h(
      'select',
      { id: uid('target') },
      ...TARGETS.map((value) => h('option', { value }, TARGET_WORDS[value])),
    );
    target.value = choices.target_resolution;
    target.addEventListener('change', () =>
      this.#change({ target_resolution: target.value as JobSettings['target_resolution'] }),
    );
    this.#model.addEventListener('change', () => this.#change({ model: this.#model.value }));
    this.#fillModels([]);
    for (const [key, { input, show }] of [
      ['denoise_strength', this.#strength],
      ['smoothing', this.#smoothing],
    ] as const) {
      input.disabled = false;
      show(choices[key]);
      input.addEventListener('input', () => {
        this.#change({ [key]: Number(input.value) / 100 });
        show(choices[key]);
      });
    }
    const codecs = segmented('Codec', CODECS, (codec) => {
      // A CRF means something else to another codec.
      delete choices.crf;
      this.#change({ codec });
      this.#showQuality();
    });
    codecs.show(choices.codec);
    this.#quality.addEventListener('input', () => {
      const { usual, worst } = CRF[choices.codec];
      const crf = worst - Number(this.#quality.value);
      if (crf === usual) delete choices.crf;
      this.#change(crf === usual ? {} : { crf });
      this.#showQuality();
    });
    this.#showQuality();
    const fields = h(
      'div',
      { class: 'fields' },
      h('div', { class: 'field' }, h('label', { for: target.id }, 'Resolution'), target),
      h('div', { class: 'field' }, h('label', { for: this.#model.id }, 'Model'), this.#model),
      this.#strength.element,
      this.#smoothing.element,
      h('div', { class: 'field' }, h('span', { class: 'label' }, 'Codec'), codecs.element, this.#codecHint),
      h(
        'div',
        { class: 'slider' },
        h('label', { for: this.#quality.id }, 'Quality'),
        this.#qualityText,
        this.#quality,
        h(
          'div',
          { class: 'slider-ends', 'aria-hidden': 'true' },
          h('span', {}, 'small'),
          h('span', {}, 'best'),
        ),
      ),
      h('p', { class: 'hint' }, 'For files added from now on.'),
    );
    const title = uid('title');
    const details = h(
      'details',
      // Beside the list there is room; above it, on a narrow screen, they are in the way.
      { open: matchMedia('(min-width: 1000px)').matches },
      h('summary', {}, h('h2', { id: title }, 'How to restore'), this.#short),
      fields,
    );
    this.element = h('section', { class: 'panel file-settings', 'aria-labelledby': title }, details);
    this.#showShort();
    void api.models().then(
      (models) => this.#fillModels(models),
      () => undefined,
    );
  }

  get choices(): FileChoices {
    return { ...this.#choices };
  }

  /** What is chosen, in a line for when the rest is folded away. */
  #showShort(): void {
    const { target_resolution, model, codec } = this.#choices;
    const target = target_resolution === 'source' ? 'same size' : target_resolution;
    setText(
      this.#short,
      [target, model === 'auto' ? 'automatic model' : model, codecName(codec)].join(' · '),
    );
  }

  #change(change: Partial<Choices>): void {
    Object.assign(this.#choices, change);
    this.#showShort();
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#choices));
    } catch {
      // Not remembered, but used.
    }
  }

  #fillModels(models: ModelInfo[]): void {
    this.#model.replaceChildren(...modelOptions(models, 'Automatic: the best there is'));
    const { model } = this.#choices;
    if (![...this.#model.options].some(({ value, disabled }) => value === model && !disabled)) {
      // Remembered from a gateway that had it; while the list is not there yet it may still come.
      if (models.length > 0) this.#change({ model: DEFAULTS.model });
      else if (model !== DEFAULTS.model) this.#model.append(h('option', { value: model }, model));
    }
    this.#model.value = this.#choices.model;
  }

  #showQuality(): void {
    const { codec, crf } = this.#choices;
    const { usual, worst } = CRF[codec];
    const now = crf ?? usual;
    const text = now === usual ? `CRF ${now}, usual` : `CRF ${now}`;
    this.#quality.max = String(worst);
    this.#quality.value = String(worst - now);
    this.#quality.style.setProperty('--value', `${((worst - now) / worst) * 100}%`);
    this.#quality.setAttribute('aria-valuetext', text);
    setText(this.#qualityText, text);
    setText(this.#codecHint, CODEC_HINTS[codec]);
  }
}
