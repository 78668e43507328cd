import { ApiError, api } from './core/api.ts';
import type { View } from './core/context.ts';
import { h, setText, uid } from './core/dom.ts';
import { mark } from './core/icons.ts';

/** The login form; `done` is called once signed in. */
export function loginView(done: () => void): View {
  const [userId, passwordId, errorId] = [uid('user'), uid('password'), uid('error')];
  const user = h('input', {
    id: userId,
    name: 'username',
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
    'aria-describedby': errorId,
  });
  const password = h('input', {
    id: passwordId,
    name: 'password',
    type: 'password',
    autocomplete: 'current-password',
    required: true,
    'aria-describedby': errorId,
  });
  const error = h('p', { class: 'field-error', id: errorId, role: 'alert' });
  const button = h('button', { class: 'button primary', type: 'submit' }, 'Sign in');
  const form = h(
    'form',
    { class: 'login' },
    h('div', { class: 'login-mark' }, mark()),
    h('h1', {}, 'Sign in to Clearway'),
    h('p', { class: 'hint' }, 'Accounts are set in clearway.yml, under auth.'),
    h('div', { class: 'field' }, h('label', { for: userId }, 'User'), user),
    h('div', { class: 'field' }, h('label', { for: passwordId }, 'Password'), password),
    error,
    button,
  );
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    button.disabled = true;
    setText(error, '');
    api.login(user.value.trim(), password.value).then(done, (problem: unknown) => {
      button.disabled = false;
      setText(error, problem instanceof ApiError ? problem.message : String(problem));
      password.select();
    });
  });
  requestAnimationFrame(() => user.focus());
  return { element: h('div', { class: 'login-page' }, form), title: 'Sign in · Clearway', dispose: () => {} };
}
