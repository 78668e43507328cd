import { ClearwayError } from '../contracts/errors.ts';
import { CRF, type FileSettings } from '../contracts/file.ts';
import { type JobWish, TARGET_LINES } from '../contracts/jobs.ts';
import type { InstalledModel } from './identity.ts';

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
  if (crf !== undefined && crf > CRF[codec].worst) {
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `crf: ${codec} takes 0 to ${CRF[codec].worst}`, {
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
