import { h, s, setText } from '../core/dom.ts';
import { ms } from '../core/format.ts';

const SECONDS = 120;
const HEIGHT = 36;

/** The last two minutes of gateway latency p95, one point a status; gaps where there was no picture. */
export class Sparkline {
  readonly #path = s('path', { class: 'spark-line' });
  readonly #peak = h('span');
  readonly element = h(
    'figure',
    { class: 'spark' },
    s(
      'svg',
      { viewBox: `0 0 ${SECONDS - 1} ${HEIGHT}`, preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      this.#path,
    ),
    h('figcaption', {}, h('span', {}, 'p95, last 2 min'), this.#peak),
  );
  #points: (number | undefined)[] = [];

  /** `value` in ms; undefined leaves a gap. */
  add(value: number | undefined): void {
    this.#points.push(value);
    if (this.#points.length > SECONDS) this.#points.shift();
    const top = Math.max(10, ...this.#points.map((point) => point ?? 0));
    const first = SECONDS - this.#points.length;
    let pen = 'M';
    let path = '';
    for (const [i, point] of this.#points.entries()) {
      if (point === undefined) {
        pen = 'M';
        continue;
      }
      path += `${pen}${first + i} ${(HEIGHT - 1 - (point / top) * (HEIGHT - 3)).toFixed(1)}`;
      pen = 'L';
    }
    this.#path.setAttribute('d', path);
    setText(this.#peak, `peak ${ms(top)} ms`);
  }
}
