import type { RtmpInfo } from '../../contracts/control.ts';
import { copyRow } from '../core/copy.ts';
import { h } from '../core/dom.ts';

/** 128 random bits in digits and letters, which every encoder takes as they are. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export interface PushAddress {
  url: string;
  /** The same in the two parts that OBS and most encoders ask for. */
  server: string;
  streamKey: string;
}

/** Where `name` is pushed; `page` is the host that the viewer reached the gateway by. */
export function pushAddress(
  { host, port }: Pick<RtmpInfo, 'host' | 'port'>,
  page: string,
  name: string,
  key: string,
): PushAddress {
  const everywhere = host === '0.0.0.0' || host === '::';
  const bare = everywhere ? page : host;
  const at = bare.includes(':') && !bare.startsWith('[') ? `[${bare}]` : bare;
  const server = `rtmp://${at}:${port}/live`;
  const streamKey = key === '' ? name : `${name}?key=${encodeURIComponent(key)}`;
  return { url: `${server}/${streamKey}`, server, streamKey };
}

/** What keeps publishers from getting here; undefined when nothing known does. */
function obstacle({ enabled, host }: RtmpInfo): string | undefined {
  if (!enabled) return 'This gateway takes no pushes: rtmp.enabled is false in clearway.yml.';
  if (!/^(127\.|localhost$|::1$)/.test(host)) return undefined;
  return `Pushes are taken from the gateway’s own host only; rtmp.host in clearway.yml changes that (it is ${host}).`;
}

/** What to enter at the camera or encoder that pushes `name`. */
export function pushGuide(rtmp: RtmpInfo, name: string, key: string): HTMLElement {
  const { url, server, streamKey } = pushAddress(rtmp, location.hostname, name, key);
  const wrong = obstacle(rtmp);
  return h(
    'div',
    { class: 'push-guide' },
    h('p', {}, 'Enter this at the camera or encoder. The key is not shown again.'),
    h(
      'dl',
      { class: 'links' },
      copyRow('Whole address', url),
      copyRow('Server, as in OBS', server),
      copyRow('Stream key, as in OBS', streamKey),
    ),
    wrong !== undefined && h('p', { class: 'hint' }, wrong),
  );
}
