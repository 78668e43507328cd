import type { JobStatus } from '../../contracts/jobs.ts';
import { bytes, codec, duration, fps, grouped } from '../core/format.ts';
import { sentence } from '../core/state.ts';
import type { Sending } from './uploads.ts';

/** How far a job is, 0..1; undefined while nobody can say. */
export function share({ state, progress }: JobStatus): number | undefined {
  if (state === 'done') return 1;
  if (state !== 'running' || progress?.total === undefined || progress.total <= 0) return undefined;
  // Totals are estimates: never full before it is.
  return Math.min(0.99, progress.frames / progress.total);
}

/** What happens to a job now, in words; `ahead` files are before it. */
export function jobLine(job: JobStatus, ahead: number): string {
  const { state, progress, error, result } = job;
  if (state === 'queued') {
    if (error) return `${sentence(error.message)} It is tried again.`;
    if (ahead === 0) return 'Waiting for its turn.';
    return `Waiting: ${ahead} ${ahead === 1 ? 'file' : 'files'} before it.`;
  }
  if (state === 'cancelled') return 'Cancelled.';
  if (state === 'failed') return sentence(error?.message ?? 'It failed');
  if (state === 'done') return result ? doneLine(job) : 'Restored.';
  if (progress === undefined || progress.stage === 'probing') return 'Looking at the file.';
  if (progress.stage === 'finishing') return 'Putting picture and sound together.';
  const { frames, total, left } = progress;
  const parts = [
    `Frame ${grouped(frames)}${total === undefined ? '' : ` of ${grouped(Math.max(total, frames))}`}`,
    progress.fps > 0 && `${fps(progress.fps)} fps`,
    left !== undefined && `${duration(left)} left`,
  ];
  return parts.filter(Boolean).join(' · ');
}

function doneLine({ result, started, finished }: JobStatus): string {
  if (!result) return '';
  const took = started && finished ? (Date.parse(finished) - Date.parse(started)) / 1000 : undefined;
  const parts = [
    `${grouped(result.frames)} ${result.frames === 1 ? 'frame' : 'frames'}`,
    duration(result.duration),
    took !== undefined && `restored in ${duration(took)}`,
  ];
  return parts.filter(Boolean).join(' · ');
}

/** What was asked for, in short: `640 × 360 to 1280 × 720 · lite · H.264`. */
export function orderLine({ input, result, settings }: JobStatus): string {
  const from = `${input.width} × ${input.height}`;
  const to = result
    ? `${result.width} × ${result.height}`
    : settings.target_resolution === 'source'
      ? from
      : settings.target_resolution;
  const model = result?.model ?? settings.model;
  return [
    from === to ? from : `${from} to ${to}`,
    model === 'auto' ? 'automatic model' : model === 'none' ? 'no model' : model,
    codec(settings.codec),
    bytes(input.bytes),
  ].join(' · ');
}

/** What happens to an upload now. */
export function sendingLine({ state, sent, size, speed, error }: Sending): string {
  const so = `${bytes(sent)} of ${bytes(size)}`;
  switch (state) {
    case 'waiting':
      return `Waiting to be sent · ${bytes(size)}`;
    case 'paused':
      return `Paused at ${so}`;
    case 'retrying':
      return `The gateway does not answer. It goes on by itself from ${so}.`;
    case 'handing':
      return 'Sent. The gateway looks at it.';
    case 'refused':
      return sentence(error?.message ?? 'Refused');
    case 'sending': {
      const left = speed && speed > 0 ? `${duration((size - sent) / speed)} left` : undefined;
      return [`Sending ${so}`, speed !== undefined && `${bytes(speed)}/s`, left].filter(Boolean).join(' · ');
    }
  }
}
