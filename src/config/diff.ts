import { isDeepStrictEqual } from 'node:util';
import type { Config, StreamConfig } from './schema.ts';

/** What differs between two configurations. */
export interface ConfigDiff {
  /** Stream names. */
  added: string[];
  removed: string[];
  changed: { name: string; fields: (keyof StreamConfig)[] }[];
  /** Settings outside `streams`, as `section.key`, e.g. `http.port`. */
  global: string[];
}

function changedKeys<T extends object>(next: T, previous: T): (keyof T)[] {
  const keys = new Set([...Object.keys(next), ...Object.keys(previous)]) as Set<keyof T>;
  return [...keys].filter((key) => !isDeepStrictEqual(next[key], previous[key]));
}

export function diffConfig(next: Config, previous: Config): ConfigDiff {
  const diff: ConfigDiff = { added: [], removed: [], changed: [], global: [] };
  for (const [name, stream] of Object.entries(next.streams)) {
    const before = previous.streams[name];
    if (before === undefined) diff.added.push(name);
    else {
      const fields = changedKeys(stream, before);
      if (fields.length > 0) diff.changed.push({ name, fields });
    }
  }
  diff.removed = Object.keys(previous.streams).filter((name) => next.streams[name] === undefined);
  for (const section of ['http', 'auth', 'rtmp', 'webrtc', 'hls', 'restorer', 'jobs', 'log'] as const) {
    const keys = changedKeys<object>(next[section], previous[section]);
    diff.global.push(...keys.map((key) => `${section}.${key}`));
  }
  return diff;
}

export function isEmptyDiff(diff: ConfigDiff): boolean {
  return Object.values(diff).every((part: unknown[]) => part.length === 0);
}
