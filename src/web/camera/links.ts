import type { Context } from '../core/context.ts';
import { h } from '../core/dom.ts';
import { icon } from '../core/icons.ts';

/** Addresses for other players, each with a copy button. */
export function linksPanel(context: Context, name: string): HTMLElement {
  const at = encodeURIComponent(name);
  const links: [string, string][] = [
    ['WebRTC (WHEP)', `/whep/${at}`],
    ['HLS', `/hls/${at}/index.m3u8`],
    ['Still', `/snapshot/${at}.jpg`],
  ];
  const rows = links.map(([label, path]) => {
    const { href } = new URL(path, location.href);
    const copy = async (): Promise<void> => {
      try {
        await navigator.clipboard.writeText(href);
        context.toast(`${label} address copied.`);
      } catch {
        context.toast('The browser does not allow copying here; select the address instead.', 'error');
      }
    };
    const button = h('button', { class: 'icon-button', type: 'button', title: `Copy the ${label} address` });
    button.append(icon('copy'), h('span', { class: 'sr' }, `Copy the ${label} address`));
    button.addEventListener('click', () => void copy());
    return h('div', { class: 'link-row' }, h('dt', {}, label), h('dd', {}, h('code', {}, href), button));
  });
  return h(
    'section',
    { class: 'panel', 'aria-label': 'Play elsewhere' },
    h('h2', {}, 'Play elsewhere'),
    h('dl', { class: 'links' }, ...rows),
  );
}
