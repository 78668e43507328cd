import { CRF } from '../../contracts/file.ts';
import type { JobStatus } from '../../contracts/jobs.ts';
import { h, uid } from '../core/dom.ts';
import { bytes, codec, duration, fps, grouped, percent } from '../core/format.ts';
import { icon } from '../core/icons.ts';
import { sentence } from '../core/state.ts';

function panel(title: string, ...children: (Node | false)[]): HTMLElement {
  const id = uid('panel');
  return h('section', { class: 'panel', 'aria-labelledby': id }, h('h2', { id }, title), ...children);
}

function facts(rows: readonly (readonly [string, string | undefined])[]): HTMLElement {
  return h(
    'dl',
    { class: 'facts' },
    ...rows.flatMap(([name, value]) =>
      value === undefined ? [] : [h('div', {}, h('dt', {}, name), h('dd', {}, value))],
    ),
  );
}

/** ffmpeg's name of a container as people write it; it names relatives of one kind in one breath. */
function container(name: string): string {
  const known: Record<string, string> = {
    'mov,mp4,m4a,3gp,3g2,mj2': 'MP4 or MOV',
    'matroska,webm': 'Matroska or WebM',
    mpegts: 'MPEG-TS',
    avi: 'AVI',
  };
  return known[name] ?? name.split(',')[0]!.toUpperCase();
}

/** What is known of a finished job, panel by panel. */
export function jobFacts({ input, result, settings, started, finished }: JobStatus): HTMLElement[] {
  if (!result) return [];
  const took = started && finished ? (Date.parse(finished) - Date.parse(started)) / 1000 : undefined;
  const usual = settings.crf ?? CRF[settings.codec].usual;
  return [
    ...(result.warnings.length > 0
      ? [
          h(
            'section',
            { class: 'panel warnings', 'aria-label': 'Not kept as it was' },
            h('h2', {}, icon('alert'), 'Not kept as it was'),
            h('ul', {}, ...result.warnings.map((warning) => h('li', {}, sentence(warning)))),
          ),
        ]
      : []),
    panel(
      'Original',
      facts([
        ['Picture', `${input.width} × ${input.height}`],
        ['Codec', codec(input.codec)],
        ['Container', container(input.container)],
        ['Rate', input.fps === undefined ? undefined : `${fps(input.fps)} fps`],
        ['Size', bytes(input.bytes)],
        ['Sound', input.hasAudio ? 'yes' : 'none'],
      ]),
    ),
    panel(
      'Restored',
      facts([
        ['Picture', `${result.width} × ${result.height}`],
        ['Codec', `${codec(settings.codec)}, CRF ${usual}`],
        ['Frames', grouped(result.frames)],
        ['Length', duration(result.duration)],
        ['Model', `${result.model} on ${result.provider}`],
        ['Strength', `${percent(settings.denoise_strength)} %`],
        ['Smoothing', settings.smoothing === 0 ? 'off' : `${percent(settings.smoothing)} %`],
        [
          'Took',
          took === undefined || took <= 0 ? undefined : `${duration(took)}, ${fps(result.frames / took)} fps`,
        ],
      ]),
    ),
  ];
}
