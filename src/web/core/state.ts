import type { StreamState, StreamStatus } from '../../contracts/stream.ts';
import { h, setText } from './dom.ts';

export const STATE_WORDS: Record<StreamState, string> = {
  live: 'Live',
  degraded: 'Degraded',
  connecting: 'Connecting',
  backoff: 'No signal',
  idle: 'Asleep',
  disabled: 'Off',
};

/** Whether a stream is ready and nobody pushes it: it is not asleep, for watching it does not wake it. */
export const awaitsPush = ({ state, source, onDemand, viewers }: StreamStatus): boolean =>
  state === 'idle' && source === 'push' && (!onDemand || viewers.webrtc + viewers.hls > 0);

/** Whether there is a picture to show in this state. */
export const hasPicture = (status: StreamStatus | undefined): boolean =>
  status?.state === 'live' || status?.state === 'degraded';

/**
 * The cause in words, with the time of the next attempt where there is one; of a live stream that is not restored, why.
 * `now` on the gateway's clock, Unix ms: the viewer's may be wrong.
 */
export function causeOf(status: StreamStatus, now: number): string {
  const { state, error, restoration } = status;
  const unrestored = state === 'live' && restoration?.model === 'none';
  const words = error?.message ?? (unrestored ? restoration.reason : status.cause);
  const said = capital(words);
  if (status.state !== 'backoff' || status.retryAt === undefined) return said;
  const seconds = Math.ceil((Date.parse(status.retryAt) - now) / 1000);
  if (!(seconds > 0)) return `${sentence(said)} Trying now.`;
  return `${sentence(said)} Next try in ${seconds} s.`;
}

/** Words begin with a capital; addresses and file names stay as they are. */
const capital = (text: string): string =>
  text.replace(/^[a-z]+(?=[\s,;.]|$)/, (word) => word.charAt(0).toUpperCase() + word.slice(1));

/** What the gateway says, as a sentence. */
export const sentence = (text: string): string =>
  text === '' || /[.!?]$/.test(text) ? capital(text) : `${capital(text)}.`;

/** Share of frames that were restored, 0..1; undefined before the first frame. */
export function restoredShare(frames: StreamStatus['frames']): number | undefined {
  const all = frames.restored + frames.passthrough + frames.dropped;
  return all === 0 ? undefined : frames.restored / all;
}

/** A state badge: a shape and a word, so that it does not depend on colour. */
export function badge(): { element: HTMLElement; set(status: StreamStatus): void } {
  const word = h('span');
  const element = h('span', { class: 'badge' }, h('i', { 'aria-hidden': 'true' }), word);
  return {
    element,
    set(status) {
      element.dataset.state = status.state;
      setText(word, awaitsPush(status) ? 'Waiting' : STATE_WORDS[status.state]);
    },
  };
}

/** A bar of restored, passthrough and dropped frames in proportion. */
export function outcomeBar(): { element: HTMLElement; set(frames: StreamStatus['frames']): void } {
  const parts = (['restored', 'passthrough', 'dropped'] as const).map((key) => {
    const part = h('i', { 'data-outcome': key });
    return { key, part };
  });
  const element = h('div', { class: 'outcomes', 'aria-hidden': 'true' }, ...parts.map(({ part }) => part));
  return {
    element,
    set(frames) {
      for (const { key, part } of parts) part.style.flexGrow = String(frames[key]);
    },
  };
}
