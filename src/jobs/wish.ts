import { ClearwayError } from '../contracts/errors.ts';
import type { FileSettings } from '../contracts/file.ts';
import { type JobWish, TARGET_LINES } from '../contracts/jobs.ts';
import type { InstalledModel } from './identity.ts';

/** Largest `crf` of each codec. */
const MOST_CRF = { h264: 51, hevc: 51, av1: 63 } as const;

/** What is asked for, as the restorer takes it. Throws (400) for a model or a quality that there is not. */
export function settingsOf(wish: JobWish, models: readonly InstalledModel[]): FileSettings {
  const { model, crf, codec } = wish;
  const usable = models.some(({ name, kind }) => name === model && kind === 'restorer');
  if (model !== 'auto' && model !== 'none' && !usable) {
    throw new ClearwayError(
      'CLEARWAY_MODEL_NOT_FOUND',
      `There is no model ${model} to restore with; GET /api/v1/models lists them.`,
      { status: 400 },
    );
  }
  if (crf !== undefined && crf > MOST_CRF[codec]) {
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `crf: ${codec} takes 0 to ${MOST_CRF[codec]}`, {
      status: 400,
    });
  }
  return {
    model,
    strength: wish.denoise_strength,
    smoothing: wish.smoothing,
    height: TARGET_LINES[wish.target_resolution],
    codec,
    crf,
  };
}
