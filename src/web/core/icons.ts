import { s } from './dom.ts';

/** 20 x 20 strokes drawn for Clearway. */
const PATHS = {
  plus: 'M10 4v12M4 10h12',
  close: 'm5 5 10 10M15 5 5 15',
  back: 'M12.500 4.500 7 10l5.500 5.500',
  edit: 'm4 16 .8-3.600L13 4.200a1.400 1.400 0 0 1 2 0l.8.800a1.400 1.400 0 0 1 0 2L7.600 15.200zM11.500 5.700l2.800 2.800',
  trash: 'M4 6h12M8 6V4h4v2M5.500 6l.7 10h7.600l.7-10M8.500 9v4.500M11.500 9v4.500',
  sun: 'M10 6.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7ZM10 2v1.500M10 16.500V18M2 10h1.500M16.500 10H18M4.300 4.300l1.100 1.100M14.600 14.600l1.100 1.100M15.700 4.300l-1.100 1.100M5.400 14.600l-1.100 1.100',
  moon: 'M16.500 11.800A7 7 0 0 1 8.200 3.500a7 7 0 1 0 8.300 8.300Z',
  auto: 'M10 3a7 7 0 1 1 0 14 7 7 0 0 1 0-14ZM10 3v14M10 6h5.700M10 9h6.900M10 12h6.700M10 15h4.800',
  mute: 'M9.500 4.500 6 7.500H3v5h3l3.500 3zM13 8l4 4M17 8l-4 4',
  sound:
    'M9.500 4.500 6 7.500H3v5h3l3.500 3zM12.500 7.500a3.500 3.500 0 0 1 0 5M15 5.500a6.500 6.500 0 0 1 0 9',
  full: 'M3.500 7.500v-4h4M12.500 3.500h4v4M16.500 12.500v4h-4M7.500 16.500h-4v-4',
  pip: 'M3 4.500h14v11H3zM10 10h5v3.500h-5z',
  still:
    'M3 6.500h3.300L7.700 4.500h4.600l1.400 2H17v9H3zM10 8.300a2.700 2.700 0 1 1 0 5.400 2.700 2.700 0 0 1 0-5.400Z',
  help: 'M7.300 7.500a2.700 2.700 0 1 1 4 2.400c-.9.500-1.300 1-1.300 2M10 14.800v.2',
  copy: 'M7 7h9v9.500H7zM13 7V3.500H4V13h3',
  play: 'M6.500 4v12l9.500-6z',
  pause: 'M7 4.500v11M13 4.500v11',
  'step-back': 'M12.500 5.500 7.500 10l5 4.500zM5 5v10',
  'step-on': 'm7.500 5.500 5 4.500-5 4.500zM15 5v10',
  download: 'M10 3.500v9M6 9l4 4 4-4M3.500 16.500h13',
  upload: 'M10 13V4M6 7.500l4-4 4 4M3.500 16.500h13',
  film: 'M3 4.500h14v11H3zM6.500 4.500v11M13.500 4.500v11M3 8.200h3.500M3 11.800h3.500M13.500 8.200H17M13.500 11.800H17',
  compare: 'M3 4.500h14v11H3zM10 2.500v15M12 12l2.500-2.500L17 12',
  zoom: 'M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4ZM12.700 12.700 16.500 16.500M9 7v4M7 9h4',
  alert: 'M10 3.500 17.500 16h-15zM10 8v3.800M10 13.800v.2',
  check: 'm4.500 10.500 3.500 3.500 7.500-8',
  out: 'M12 4H4.500v12H12M9 10h8M14 7l3 3-3 3',
  search: 'M9 4a5 5 0 1 1 0 10A5 5 0 0 1 9 4ZM12.700 12.700 16.500 16.500',
  people:
    'M7.500 5a2.500 2.500 0 1 1 0 5 2.500 2.500 0 0 1 0-5ZM3 16c.3-2.700 2-4 4.500-4s4.200 1.300 4.500 4M12.500 5.300a2.500 2.500 0 0 1 0 4.500M14 12.300c1.700.5 2.800 1.700 3 3.700',
} as const;

export type IconName = keyof typeof PATHS;

/** A decorative icon; the control it sits in carries the name. */
export function icon(name: IconName): SVGSVGElement {
  return s(
    'svg',
    { class: 'icon', viewBox: '0 0 20 20', 'aria-hidden': 'true', focusable: 'false' },
    s('path', { d: PATHS[name] }),
  );
}

/** The mark: grain on the left of the divider, a clear picture on its right. */
export function mark(): SVGSVGElement {
  const grain: [number, number, number, number][] = [
    [1, 4, 3, 3],
    [6, 6, 3, 3],
    [2, 10, 3, 3],
    [7, 11, 2, 3],
    [1, 16, 2, 3],
    [5, 17, 4, 3],
  ];
  return s(
    'svg',
    { class: 'mark', viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' },
    s(
      'g',
      { class: 'mark-grain' },
      ...grain.map(([x, y, width, height]) => s('rect', { x, y, width, height })),
    ),
    s('path', {
      class: 'mark-clear',
      d: 'M14 4h4.500A4.500 4.500 0 0 1 23 8.500v7a4.500 4.500 0 0 1-4.500 4.500H14z',
    }),
    s('rect', { class: 'mark-bar', x: 10.75, y: 0.5, width: 1.5, height: 23, rx: 0.75 }),
  );
}
