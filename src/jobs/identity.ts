import { createHash } from 'node:crypto';
import type { ModelInfo } from '../contracts/control.ts';
import type { FileSettings } from '../contracts/file.ts';
import type { Container } from '../contracts/jobs.ts';

/** What makes two requests the same. */
export interface RequestIdentity {
  /** Hash of the content. */
  sha256: string;
  settings: FileSettings;
  container: Container;
  scope: string;
  /** Every model that is installed. */
  models: readonly ModelInfo[];
}

/** The id of a job, 32 hexadecimal digits: the same content, settings and versions of the models give the same. */
export function jobId({ sha256, settings, container, scope, models }: RequestIdentity): string {
  const { model, strength, smoothing, height, codec, crf } = settings;
  // `auto` may choose any of them.
  const versions = models
    .filter(({ name, kind }) => kind === 'smoother' || model === 'auto' || name === model)
    .map(({ name, version }) => `${name}@${version}`)
    .sort();
  const facts = [sha256, model, strength, smoothing, height, codec, crf ?? null, container, scope, versions];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}
