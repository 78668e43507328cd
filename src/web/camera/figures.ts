import { STAGES, type Stage, type StreamStatus } from '../../contracts/stream.ts';
import { h, setText } from '../core/dom.ts';
import { bitrate, codec, fps, grouped, ms, percent, since } from '../core/format.ts';
import { hasPicture, outcomeBar, passesAsWanted, restoredShare } from '../core/state.ts';
import type { GlassSummary } from '../player/glass.ts';
import { Sparkline } from './sparkline.ts';

const STAGE_WORDS: Record<Stage, string> = {
  decode: 'Decode',
  queue: 'Queue',
  restore: 'Restore',
  smooth: 'Smooth',
  encode: 'Encode',
};

interface LatencyRow {
  element: HTMLTableRowElement;
  set(value: { p50: number; p95: number } | undefined, scale: number): void;
}

function latencyRow(label: string, name: string): LatencyRow {
  const p50 = h('td', {}, '–');
  const p95 = h('td', {}, '–');
  const bar = h('i');
  const element = h(
    'tr',
    { 'data-row': name },
    h('th', { scope: 'row' }, label),
    h('td', { class: 'bar-cell', 'aria-hidden': 'true' }, h('span', { class: 'latency-bar' }, bar)),
    p50,
    p95,
  );
  return {
    element,
    set(value, scale) {
      setText(p50, ms(value?.p50));
      setText(p95, ms(value?.p95));
      const share = (part: number | undefined): string => `${Math.min(100, ((part ?? 0) / scale) * 100)}%`;
      bar.style.setProperty('--p50', share(value?.p50));
      bar.style.setProperty('--p95', share(value?.p95));
    },
  };
}

/** Where a frame's time goes: every stage, the gateway as a whole, and this very screen. */
export class LatencyPanel {
  readonly element: HTMLElement;
  /** From capture to arrival, where the camera says when it takes its pictures. */
  readonly #camera = latencyRow('Camera', 'capture');
  readonly #stages = STAGES.map((stage) => ({ stage, row: latencyRow(STAGE_WORDS[stage], stage) }));
  readonly #total = latencyRow('In the gateway', 'total');
  readonly #glass = latencyRow('To this screen', 'glass');
  readonly #history = new Sparkline();
  readonly #note = h('p', { class: 'hint' });
  #seen: StreamStatus | undefined;

  constructor() {
    const head = ['Stage', '', 'p50', 'p95'].map((text) =>
      text === '' ? h('td', { class: 'bar-cell' }) : h('th', { scope: 'col' }, text),
    );
    this.element = h(
      'section',
      { class: 'panel latency', 'aria-label': 'Latency' },
      h('h2', {}, 'Latency ', h('small', {}, 'ms')),
      h(
        'table',
        {},
        h('thead', {}, h('tr', {}, ...head)),
        h('tbody', {}, this.#camera.element, ...this.#stages.map(({ row }) => row.element)),
        h('tbody', { class: 'totals' }, this.#total.element, this.#glass.element),
      ),
      this.#history.element,
      this.#note,
    );
  }

  update(status: StreamStatus, glass: GlassSummary | undefined, uncertainty: number | undefined): void {
    const latency = hasPicture(status) ? status.latency : undefined;
    const lead = status.input?.captureLead;
    const longest = Math.max(1, lead ?? 0, ...STAGES.map((stage) => latency?.[stage]?.p95 ?? 0));
    this.#camera.element.hidden = lead === undefined;
    this.#camera.set(lead === undefined ? undefined : { p50: lead, p95: lead }, longest);
    const passed = status.restoration?.model === 'none';
    for (const { stage, row } of this.#stages) {
      // What is not done takes no time, which is not the same as a time of 0.
      row.set(passed && (stage === 'restore' || stage === 'smooth') ? undefined : latency?.[stage], longest);
    }
    const whole = Math.max(1, latency?.total?.p95 ?? 0, (glass?.p95 ?? 0) + (lead ?? 0));
    this.#total.set(latency?.total, whole);
    this.#glass.set(glass && { ...glass, p50: glass.p50 + (lead ?? 0), p95: glass.p95 + (lead ?? 0) }, whole);
    if (status !== this.#seen) {
      this.#seen = status;
      this.#history.add(latency?.total?.p95);
    }
    setText(
      this.#note,
      glass === undefined
        ? 'From arrival at the gateway. This player has not measured its own yet.'
        : `From ${lead === undefined ? 'arrival at the gateway' : 'capture by the camera’s clock to this screen, else from arrival'}; this screen ± ${ms(uncertainty)} ms.`,
    );
  }
}

/** What decodes or encodes, by the name that people know it by. */
const codecBy = (name = '–'): string => ({ cuda: 'NVDEC', nvenc: 'NVENC', vaapi: 'VAAPI' })[name] ?? name;

function entry(label: string): { element: HTMLElement; set(text: string): void } {
  const value = h('dd', {}, '–');
  return { element: h('div', {}, h('dt', {}, label), value), set: (text) => setText(value, text) };
}

/** Two panels: frames by outcome and who watches them; what the camera sends and what restores it. */
export class FactsPanel {
  readonly elements: HTMLElement[];
  readonly #outcomes = outcomeBar();
  readonly #since = entry('In this state');
  readonly #rate = entry('Rate');
  readonly #restored = entry('Restored');
  readonly #passthrough = entry('Passed through');
  readonly #dropped = entry('Dropped');
  readonly #model = entry('Model');
  readonly #size = entry('Published at');
  readonly #step = entry('Ladder');
  readonly #camera = entry('Camera');
  readonly #bitrate = entry('Bitrate');
  readonly #audio = entry('Sound');
  readonly #decoder = entry('Decoded by');
  readonly #encoders = entry('Encoded by');
  readonly #reconnects = entry('Reconnects');
  readonly #viewers = entry('Viewers');
  readonly #player = entry('This player');
  readonly #why = h('p', { class: 'hint' });

  constructor() {
    const panel = (title: string, small: string, ...children: Node[]) =>
      h(
        'section',
        { class: 'panel', 'aria-label': title },
        h('h2', {}, title, small !== '' && h('small', {}, ` ${small}`)),
        ...children,
      );
    const list = (...entries: { element: HTMLElement }[]) =>
      h('dl', { class: 'facts' }, ...entries.map(({ element }) => element));
    this.elements = [
      panel(
        'Frames',
        'since the gateway started',
        this.#outcomes.element,
        list(
          this.#since,
          this.#rate,
          this.#restored,
          this.#passthrough,
          this.#dropped,
          this.#viewers,
          this.#player,
        ),
        this.#why,
      ),
      panel(
        'Source and picture',
        '',
        list(
          this.#camera,
          this.#bitrate,
          this.#audio,
          this.#decoder,
          this.#size,
          this.#model,
          this.#step,
          this.#encoders,
          this.#reconnects,
        ),
      ),
    ];
  }

  /** `now` on the gateway's clock, Unix ms. */
  update(status: StreamStatus, now: number, player: { protocol: string; why: string }): void {
    const { frames, input, restoration, encoders = {}, viewers } = status;
    const share = restoredShare(frames);
    const passes = passesAsWanted(status);
    this.#outcomes.set(frames, passes);
    this.#since.set(since(status.since, now));
    this.#rate.set(hasPicture(status) ? `${fps(status.fps)} fps` : '–');
    const restored = grouped(frames.restored);
    this.#restored.set(
      share === undefined ? '–' : passes ? `${restored} (off)` : `${restored} (${percent(share)} %)`,
    );
    this.#passthrough.set(grouped(frames.passthrough));
    this.#dropped.set(grouped(frames.dropped));
    this.#camera.set(
      input ? `${codec(input.codec)}, ${input.width} × ${input.height}, ${fps(input.fps)} fps` : '–',
    );
    this.#bitrate.set(bitrate(input?.bitrate));
    this.#audio.set(input ? (input.hasAudio ? 'yes' : 'none') : '–');
    this.#size.set(restoration ? `${restoration.width} × ${restoration.height}` : '–');
    this.#decoder.set(codecBy(input?.decoder));
    this.#encoders.set([...new Set(Object.values(encoders).map(codecBy))].join(', ') || '–');
    const { model, provider } = restoration ?? {};
    this.#model.set(model === undefined || model === 'none' ? (model ?? '–') : `${model} on ${provider}`);
    this.#step.set(
      restoration
        ? restoration.step === 0
          ? 'as wanted'
          : `${restoration.step} ${restoration.step === 1 ? 'step' : 'steps'} lighter than wanted`
        : '–',
    );
    this.#reconnects.set(grouped(status.reconnects));
    this.#viewers.set(`${viewers.webrtc} WebRTC, ${viewers.hls} HLS`);
    this.#player.set(player.protocol);
    setText(this.#why, player.why);
    this.#why.hidden = player.why === '';
  }
}
