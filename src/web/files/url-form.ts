import type { JobStatus } from '../../contracts/jobs.ts';
import { ApiError, api, type FileChoices } from '../core/api.ts';
import type { Context } from '../core/context.ts';
import { h, setText, uid } from '../core/dom.ts';
import { sentence } from '../core/state.ts';

/** An address that the gateway fetches a video from, where its configuration names hosts for that. */
export class UrlForm {
  readonly element: HTMLFormElement;
  readonly #context: Context;
  readonly #choices: () => FileChoices;
  readonly #accepted: (job: JobStatus) => void;
  readonly #url: HTMLInputElement;
  readonly #button = h('button', { class: 'button', type: 'submit' }, 'Fetch');
  readonly #error = h('p', { class: 'field-error', id: uid('error'), role: 'alert' });

  constructor(context: Context, choices: () => FileChoices, accepted: (job: JobStatus) => void) {
    this.#context = context;
    this.#choices = choices;
    this.#accepted = accepted;
    this.#url = h('input', {
      type: 'url',
      placeholder: 'https://media.example/video.mp4',
      maxlength: 2048,
      autocomplete: 'off',
      spellcheck: 'false',
      'aria-label': 'Address of a video',
      'aria-describedby': this.#error.id,
    });
    const fields = h('div', { class: 'field' }, this.#url, this.#button);
    this.element = h('form', { class: 'url-form', novalidate: true, hidden: true }, fields, this.#error);
    this.element.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#submit();
    });
  }

  async #submit(): Promise<void> {
    const url = this.#url.value.trim();
    this.#say('');
    if (!/^https?:\/\/[^/]/i.test(url)) return this.#say('Write the whole address, from https:// on.');
    this.#button.disabled = true;
    setText(this.#button, 'Fetching');
    try {
      this.#accepted(await api.restore({ url, ...this.#choices() }));
      this.#url.value = '';
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) this.#context.recheckSession();
      this.#say(sentence(error instanceof ApiError ? error.message : String(error)));
    } finally {
      this.#button.disabled = false;
      setText(this.#button, 'Fetch');
    }
  }

  #say(error: string): void {
    setText(this.#error, error);
    if (error === '') this.#url.removeAttribute('aria-invalid');
    else this.#url.setAttribute('aria-invalid', 'true');
  }
}
