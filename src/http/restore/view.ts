import { type Job, type JobStatus, TARGET_LINES, TARGETS } from '../../contracts/jobs.ts';

/** A job as the API shows it. */
export function view(job: Job): JobStatus {
  const { id, name, state, owner, attempts, input, progress, error, result } = job;
  const { model, strength, smoothing, height, codec, crf } = job.settings;
  const self = `/restore/jobs/${id}`;
  return {
    id,
    name,
    state,
    owner,
    created: iso(job.created),
    ...(job.started === undefined ? {} : { started: iso(job.started) }),
    ...(job.finished === undefined ? {} : { finished: iso(job.finished) }),
    attempts,
    settings: {
      target_resolution: TARGETS.find((target) => TARGET_LINES[target] === height) ?? 'source',
      denoise_strength: strength,
      model,
      smoothing,
      codec,
      ...(crf === undefined ? {} : { crf }),
      container: job.container,
    },
    input,
    ...(progress ? { progress } : {}),
    ...(error ? { error } : {}),
    ...(result ? { result } : {}),
    urls: { self, video: `${self}/video`, frames: `${self}/frames`, compare: `/files/${id}` },
  };
}

function iso(time: number): string {
  return new Date(time).toISOString();
}
