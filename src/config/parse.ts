import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ClearwayError } from '../contracts/errors.ts';
import { type Complaint, explain } from './explain.ts';
import {
  type Config,
  configSchema,
  type StreamConfig,
  type StreamConfigInput,
  streamSchema,
} from './schema.ts';

/** About a thousand cameras; a larger file is a mistake, and YAML is slow to parse. */
export const MAX_CONFIG_BYTES = 512 * 1024;
const MAX_COMPLAINTS = 20;

export type Settings = Record<string, unknown>;

export interface ParsedConfig {
  config: Config;
  /** `defaults` as written, without the schema's own defaults. */
  defaults: Settings;
}

function isSettings(value: unknown): value is Settings {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A stream's settings over the defaults, one level deep where both are maps (`bitrate`). */
function mergeSettings(defaults: Settings, own: Settings): Settings {
  const merged: Settings = { ...defaults, ...own };
  for (const [key, value] of Object.entries(defaults)) {
    const over = own[key];
    if (isSettings(value) && isSettings(over)) merged[key] = { ...value, ...over };
  }
  return merged;
}

/** Applies `defaults` to a stream's own settings and validates the result. */
export function resolveStream(defaults: Settings, input: StreamConfigInput): StreamConfig {
  const result = streamSchema.safeParse(mergeSettings(defaults, input));
  if (result.success) return result.data;
  const said = result.error.issues
    .flatMap((issue) => explain(issue, ['streams', '?']))
    .map(({ path, reason }) => `${path.slice(2).join('.') || 'stream'}: ${reason}`);
  throw new ClearwayError('CLEARWAY_BAD_REQUEST', said.join('; '), { status: 400 });
}

/** Offset of the node or key that a path names, or of the nearest ancestor that exists. */
function offsetOf(document: Document.Parsed, complaint: Complaint): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const [depth, step] of complaint.path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step));
      if (pair === undefined) return offset;
      const key = pair.key as Node;
      const value = pair.value as Node | null;
      const last = depth === complaint.path.length - 1;
      // A map that misses something is found by its key; any other wrong value by itself.
      const byKey = !last || complaint.atKey || !isScalar(value);
      offset = (byKey ? key.range?.[0] : value?.range?.[0]) ?? offset;
      node = value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)] as Node | undefined;
      offset = node?.range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}

function refuse(lines: string[], cause?: unknown): never {
  const shown = lines.slice(0, MAX_COMPLAINTS);
  if (lines.length > shown.length) shown.push(`and ${lines.length - shown.length} more`);
  throw new ClearwayError('CLEARWAY_CONFIG_INVALID', shown.join('\n'), { status: 400, cause });
}

/**
 * Keys that are there twice (yaml's own check is quadratic; this is linear), and `__proto__`, which zod passes over.
 */
function badKeys(document: Document.Parsed): { offset: number; problem: string }[] {
  const found: { offset: number; problem: string }[] = [];
  const pending: unknown[] = [document.contents];
  while (pending.length > 0) {
    const node = pending.pop();
    if (isSeq(node)) pending.push(...node.items);
    if (!isMap(node)) continue;
    const seen = new Set<string>();
    for (const { key, value } of node.items) {
      pending.push(value);
      if (!isScalar(key)) continue;
      const name = String(key.value);
      const offset = key.range?.[0] ?? 0;
      if (seen.has(name)) found.push({ offset, problem: `${name}: is there twice; keep one` });
      if (name === '__proto__') found.push({ offset, problem: '__proto__: unknown key' });
      seen.add(name);
    }
  }
  return found;
}

function toSettings(document: Document.Parsed, file: string): Settings {
  let raw: unknown;
  try {
    raw = document.toJS({ maxAliasCount: 100 }) ?? {};
  } catch (cause) {
    refuse([`${file}: too many aliases; write the values out, or use "defaults"`], cause);
  }
  if (!isSettings(raw)) refuse([`${file}:1:1: must be a map of settings such as "streams:"`]);
  // A section whose every line is commented out is null in YAML; people mean that it is absent.
  return Object.fromEntries(Object.entries(raw).filter(([, value]) => value !== null));
}

function validate(raw: Settings): { config: Config; issues: [] } | { issues: z.core.$ZodIssue[] } {
  const written = configSchema.safeParse(raw);
  if (!written.success) return { issues: written.error.issues };
  const defaults = isSettings(raw.defaults) ? raw.defaults : {};
  const streams = isSettings(raw.streams) ? raw.streams : {};
  const merged = configSchema.safeParse({
    ...raw,
    streams: Object.fromEntries(
      Object.entries(streams).map(([name, own]) => [name, mergeSettings(defaults, own as Settings)]),
    ),
  });
  if (!merged.success) return { issues: merged.error.issues };
  // No prototype: a stream may be called `constructor`.
  const bare: Config['streams'] = Object.assign(Object.create(null), merged.data.streams);
  return { config: { ...merged.data, streams: bare }, issues: [] };
}

/**
 * Parses and validates a configuration file. Every complaint reads `file:line:column path: reason (what is allowed)`.
 * Throws CLEARWAY_CONFIG_INVALID.
 */
export function parseConfig(text: string, file: string): ParsedConfig {
  if (Buffer.byteLength(text) > MAX_CONFIG_BYTES) {
    refuse([`${file}: larger than ${MAX_CONFIG_BYTES / 1024} KiB; this is not a Clearway configuration`]);
  }
  const lineCounter = new LineCounter();
  const document = parseDocument(text, { lineCounter, uniqueKeys: false, prettyErrors: false });
  const place = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset);
    return `${file}:${line}:${col}`;
  };
  const broken = [
    ...document.errors.map((error) => `${place(error.pos[0])} not valid YAML: ${error.message}`),
    ...badKeys(document).map(({ offset, problem }) => `${place(offset)} ${problem}`),
  ];
  if (broken.length > 0) refuse(broken);
  const raw = toSettings(document, file);
  const checked = validate(raw);
  if (!('config' in checked)) {
    const complaints = checked.issues
      .flatMap((issue) => explain(issue))
      .map((complaint) => ({ ...complaint, offset: offsetOf(document, complaint) }))
      .sort((a, b) => a.offset - b.offset);
    refuse(
      complaints.map(
        ({ path, reason, offset }) => `${place(offset)} ${path.map(String).join('.')}: ${reason}`,
      ),
    );
  }
  return {
    config: checked.config,
    defaults: isSettings(raw.defaults) ? raw.defaults : {},
  };
}
