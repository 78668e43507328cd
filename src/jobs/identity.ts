import { createHash } from 'node:crypto';
import type { FileSettings } from '../contracts/file.ts';
import type { Container } from '../contracts/jobs.ts';

export interface InstalledModel {
  name: string;
  kind: 'restorer' | 'smoother';
  /** Hash of its weights. */
  identity: string;
}

/** What makes two requests the same. */
export interface RequestIdentity {
  /** Hash of the content. */
  sha256: string;
  settings: FileSettings;
  container: Container;
  scope: string;
  models: readonly InstalledModel[];
}

/** The id of a job, 32 hexadecimal digits: the same content, settings and models give the same. */
export function jobId({ sha256, settings, container, scope, models }: RequestIdentity): string {
  const { model, strength, smoothing, height, codec, crf } = settings;
  // `auto` may choose any of them.
  const used = models
    .filter(({ name, kind }) => kind === 'smoother' || model === 'auto' || name === model)
    .map(({ identity }) => identity)
    .sort();
  const facts = [sha256, model, strength, smoothing, height, codec, crf ?? null, container, scope, used];
  return createHash('sha256').update(JSON.stringify(facts)).digest('hex').slice(0, 32);
}
