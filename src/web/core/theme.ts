import { h, setText } from './dom.ts';
import { type IconName, icon } from './icons.ts';

const THEMES = ['auto', 'dark', 'light'] as const;
type Theme = (typeof THEMES)[number];
const KEY = 'clearway-theme';
const ICONS: Record<Theme, IconName> = { auto: 'auto', dark: 'moon', light: 'sun' };
const WORDS: Record<Theme, string> = {
  auto: 'Theme: as the system',
  dark: 'Theme: dark',
  light: 'Theme: light',
};

function stored(): Theme {
  try {
    return THEMES.find((theme) => theme === localStorage.getItem(KEY)) ?? 'auto';
  } catch {
    return 'auto'; // storage may be blocked
  }
}

function apply(theme: Theme): void {
  if (theme === 'auto') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

apply(stored());

/** Cycles system, dark, light; remembered on this device. */
export function themeButton(): HTMLButtonElement {
  const label = h('span', { class: 'sr' });
  const button = h('button', { class: 'icon-button', type: 'button' }, label);
  const show = (theme: Theme): void => {
    button.replaceChildren(icon(ICONS[theme]), label);
    setText(label, WORDS[theme]);
    button.title = WORDS[theme];
  };
  let current = stored();
  show(current);
  button.addEventListener('click', () => {
    current = THEMES[(THEMES.indexOf(current) + 1) % THEMES.length] ?? 'auto';
    try {
      localStorage.setItem(KEY, current);
    } catch {
      // Not remembered, but applied.
    }
    apply(current);
    show(current);
  });
  return button;
}
