import type { StreamState, StreamStatus } from '../../contracts/stream.ts';
import { h, setText } from './dom.ts';

const STATE_WORDS: Record<StreamState, string> = {
  live: 'Live',
  degraded: 'Degraded',
  connecting: 'Connecting',
  backoff: 'No signal',
  idle: 'Asleep',
  disabled: 'Off',
};

/** What people call a camera. */
export const titleOf = ({ name, title }: Pick<StreamStatus, 'name' | 'title'>): string => title ?? name;

/** Whether a stream is ready and nobody pushes it: it is not asleep, for watching it does not wake it. */
export const awaitsPush = ({ state, source, onDemand, viewers }: StreamStatus): boolean =>
  state === 'idle' && source === 'push' && (!onDemand || viewers.webrtc + viewers.hls > 0);

/** Whether there is a picture to show in this state. */
export const hasPicture = (status: StreamStatus | undefined): boolean =>
  status?.state === 'live' || status?.state === 'degraded';

/** Whether frames pass through because that is what was asked for: a model of none, a strength of 0. */
export const passesAsWanted = ({ restoration }: StreamStatus): boolean =>
  restoration?.model === 'none' && restoration.step === 0;

/** The cause in words; of a live stream that is not restored, why. */
export function causeOf({ state, cause, error, restoration }: StreamStatus): string {
  const unrestored = state === 'live' && restoration?.model === 'none';
  return capital(error?.message ?? (unrestored ? restoration.reason : cause));
}

/** The cause without the address that it may begin with, where the camera's name is beside it. */
export function shortCause(status: StreamStatus): string {
  const cause = causeOf(status);
  return cause.startsWith(status.source)
    ? capital(cause.slice(status.source.length).replace(/^[:\s]+/, ''))
    : cause;
}

/** When the next attempt is; empty where none is due. `now` on the gateway's clock, Unix ms: the viewer's may be wrong. */
export function nextTry({ state, retryAt }: StreamStatus, now: number): string {
  if (state !== 'backoff' || retryAt === undefined) return '';
  const seconds = Math.ceil((Date.parse(retryAt) - now) / 1000);
  return seconds > 0 ? `Next try in ${seconds} s` : 'Trying now';
}

/** The cause and when the next attempt is, in a line. */
export function causeAndTry(status: StreamStatus, now: number): string {
  const cause = causeOf(status);
  const next = nextTry(status, now);
  return next === '' ? cause : `${sentence(cause)} ${next}.`;
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

/** A bar of restored, passthrough and dropped frames in proportion; `asWanted`: passing through is nothing to look at. */
export function outcomeBar(): {
  element: HTMLElement;
  set(frames: StreamStatus['frames'], asWanted: boolean): void;
} {
  const parts = (['restored', 'passthrough', 'dropped'] as const).map((key) => {
    const part = h('i', { 'data-outcome': key });
    return { key, part };
  });
  const element = h('div', { class: 'outcomes', 'aria-hidden': 'true' }, ...parts.map(({ part }) => part));
  return {
    element,
    set(frames, asWanted) {
      element.dataset.asWanted = String(asWanted);
      for (const { key, part } of parts) part.style.flexGrow = String(frames[key]);
    },
  };
}
