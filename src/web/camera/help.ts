import { type Keys, openHelp } from '../core/help.ts';

const KEYS: Keys = [
  [['←', '→'], 'Move the divider by 1 %'],
  [['Page Up', 'Page Down'], 'Move the divider by 10 %'],
  [['Home', 'End'], 'All restored, all camera'],
  [['c'], 'Compare'],
  [['r'], 'Restored only'],
  [['s'], 'Camera only'],
  [['m'], 'Sound on or off'],
  [['d'], 'Save a still'],
  [['p'], 'Picture in picture'],
  [['f'], 'Full screen'],
  [['?'], 'This list'],
];

/** The keys of the camera page. */
export function openCameraHelp(): void {
  openHelp(KEYS, 'Drag anywhere on the picture to move the divider; a double click centres it.');
}
