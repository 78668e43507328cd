import { z } from 'zod';
import { configSchema } from './schema.ts';

/** The parts of JSON Schema (draft 7) that `z.toJSONSchema` makes of our schema. */
export interface JsonSchema {
  $schema?: string;
  title?: string;
  description?: string;
  type?: string;
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  items?: JsonSchema | JsonSchema[];
  enum?: unknown[];
  const?: unknown;
  minimum?: number;
  maximum?: number;
  default?: unknown;
}

/** The configuration file as JSON Schema, for editors and for error messages. */
export function configJsonSchema(): JsonSchema {
  const schema = z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' }) as JsonSchema;
  return { ...schema, title: 'Clearway configuration' };
}

/** The schema of the value at `path`, undefined where the schema knows no such place. */
export function schemaAt(schema: JsonSchema, path: readonly PropertyKey[]): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const key of path) {
    if (at === undefined) return undefined;
    if (Array.isArray(at.items)) at = at.items[Number(key)];
    else if (at.items !== undefined) at = at.items;
    else if (at.properties !== undefined && Object.hasOwn(at.properties, key))
      at = at.properties[String(key)];
    else at = typeof at.additionalProperties === 'object' ? at.additionalProperties : undefined;
  }
  return at;
}

/** Edits (insert, delete, replace) that turn `a` into `b` (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, replaced));
    }
    row = next;
  }
  return row[b.length]!;
}

/** The known word nearest to a mistyped one, if one is near. */
function didYouMean(word: string, known: readonly string[]): string | undefined {
  if (word.length > 64) return undefined;
  const plain = (text: string) => text.toLowerCase().replaceAll(/[_-]/g, '');
  const ranked = known
    .map((candidate) => ({ candidate, distance: editDistance(plain(word), plain(candidate)) }))
    .sort((a, b) => a.distance - b.distance);
  const best = ranked[0];
  return best && best.distance <= Math.ceil(word.length / 3) ? best.candidate : undefined;
}

/** One thing that is wrong: where, and in words. Values are not quoted, for they may be secret. */
export interface Complaint {
  path: PropertyKey[];
  /** Whether the key at the end of `path` is what is wrong, rather than its value. */
  atKey: boolean;
  reason: string;
}

const schema = configJsonSchema();

const KIND: Record<string, string> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  tuple: 'a list',
  object: 'a map of settings',
  record: 'a map of settings',
};

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function reasonOf(issue: z.core.$ZodIssue, at: JsonSchema | undefined): string {
  switch (issue.code) {
    case 'too_big':
    case 'too_small':
      if (at?.minimum === undefined || at.maximum === undefined) return lowerFirst(issue.message);
      return `must be ${at.minimum} to ${at.maximum}`;
    case 'invalid_value':
      return `must be ${issue.values.length > 1 ? 'one of ' : ''}${issue.values.join(', ')}`;
    case 'invalid_key':
      return issue.issues[0]?.message ?? issue.message;
    case 'invalid_union':
      return [
        ...new Set(issue.errors.flatMap((branch) => branch.map((one) => reasonOf(one, undefined)))),
      ].join(' or ');
    case 'invalid_type':
      return issue.message.endsWith('received undefined')
        ? 'is required'
        : `must be ${KIND[issue.expected] ?? issue.expected}`;
    default:
      return lowerFirst(issue.message);
  }
}

/** Turns a zod issue into sentences; `base` is where the checked value sits in the file. */
export function explain(issue: z.core.$ZodIssue, base: readonly PropertyKey[] = []): Complaint[] {
  const path = [...base, ...issue.path];
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schemaAt(schema, path)?.properties ?? {});
    return issue.keys.map((key) => {
      if (known.includes(key)) return { path: [...path, key], atKey: true, reason: 'cannot be set here' };
      const near = didYouMean(key, known);
      const hint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean "${near}"?`;
      return { path: [...path, key], atKey: true, reason: `unknown key; ${hint}` };
    });
  }
  const atKey = issue.code === 'invalid_key';
  const at = atKey ? undefined : schemaAt(schema, path);
  const meaning = at?.description === undefined ? '' : ` (${at.description})`;
  return [{ path, atKey, reason: reasonOf(issue, at) + meaning }];
}
