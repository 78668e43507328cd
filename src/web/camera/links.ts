import { copyRow } from '../core/copy.ts';
import { h } from '../core/dom.ts';

/** Addresses for other players, each with a copy button. */
export function linksPanel(name: string): HTMLElement {
  const at = encodeURIComponent(name);
  const links: [string, string][] = [
    ['WebRTC (WHEP)', `/whep/${at}`],
    ['HLS', `/hls/${at}/index.m3u8`],
    ['Still', `/snapshot/${at}.jpg`],
  ];
  const rows = links.map(([label, path]) => copyRow(label, new URL(path, location.href).href));
  return h(
    'section',
    { class: 'panel', 'aria-label': 'Play elsewhere' },
    h('h2', {}, 'Play elsewhere'),
    h('dl', { class: 'links' }, ...rows),
  );
}
