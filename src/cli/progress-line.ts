import type { WriteStream } from 'node:tty';
import type { FileProgress } from '../contracts/file.ts';

const BAR = 24;

/** Progress in one line of a terminal that is written over. */
export class ProgressLine {
  private readonly terminal: WriteStream;

  constructor(terminal: WriteStream) {
    this.terminal = terminal;
  }

  show(progress: FileProgress): void {
    this.write(progressText(progress));
  }

  /** Wipes the line. */
  clear(): void {
    this.write('');
  }

  private write(text: string): void {
    // Longer, it would wrap and could not be written over.
    this.terminal.write(`\r\x1b[K${text.slice(0, Math.max(20, (this.terminal.columns || 80) - 1))}`);
  }
}

/** @example "[######------------------]  25 %  375/1500 frames  18.3 fps  1:01 left" */
export function progressText({ stage, frames, total, fps, left }: FileProgress): string {
  if (stage === 'probing') return 'looking at the file';
  if (stage === 'finishing') return `${frames} frames restored, finishing the file`;
  const speed = fps > 0 ? `  ${fps.toFixed(1)} fps` : '';
  if (!total) return `${frames} frames${speed}`;
  const share = Math.min(1, frames / total);
  const done = Math.floor(share * BAR);
  const bar = `[${'#'.repeat(done)}${'-'.repeat(BAR - done)}]`;
  const rest = left === undefined ? '' : `  ${clock(left)} left`;
  return `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${frames}/${total} frames${speed}${rest}`;
}

/** @example 61 -> "1:01", 3661 -> "1:01:01" */
export function clock(seconds: number): string {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (value: number) => String(value).padStart(2, '0');
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}
