import { isDeepStrictEqual } from 'node:util';
import { type Document, isMap, isScalar, isSeq, type Node, parseDocument, stringify, YAMLMap } from 'yaml';
import type { Settings } from './parse.ts';

type Key = string | number;

function read(text: string): Document.Parsed {
  return parseDocument(text, { uniqueKeys: false, prettyErrors: false });
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function lineEnd(text: string, offset: number): number {
  if (text[offset - 1] === '\n') return offset;
  const newline = text.indexOf('\n', offset);
  return newline === -1 ? text.length : newline + 1;
}

/** Offset behind the last character of a node, without the comments that follow it. */
function endOf(node: unknown): number {
  const { range } = node as Node;
  if (isMap(node) && !node.flow) {
    const last = node.items.at(-1);
    if (last) return endOf(last.value ?? last.key);
  }
  if (isSeq(node) && !node.flow && node.items.length > 0) return endOf(node.items.at(-1));
  return range?.[1] ?? 0;
}

/** Columns a nested block is indented by in this file, so that what is added looks like the rest. */
function indentOf(document: Document.Parsed, text: string): number {
  if (!isMap(document.contents)) return 2;
  for (const { value } of document.contents.items) {
    if (!isMap(value) || value.flow) continue;
    const start = (value.items[0]?.key as Node | undefined)?.range?.[0];
    if (start === undefined) continue;
    const width = start - lineStart(text, start);
    if (width >= 1 && width <= 8) return width;
  }
  return 2;
}

function block(key: Key, value: unknown, indent: number, column: number): string {
  const margin = ' '.repeat(column);
  return stringify({ [key]: value }, { indent, lineWidth: 0 }).replaceAll(/^(?=.)/gm, margin);
}

function inline(value: unknown): string {
  return stringify(value, { collectionStyle: 'flow', lineWidth: 0 }).trimEnd();
}

function splice(text: string, start: number, end: number, put: string): string {
  return text.slice(0, start) + put + text.slice(end);
}

/** Sets (or, with undefined, removes) what is at `path`, touching no other character of the text. */
function place(text: string, path: Key[], value: unknown): string {
  const document = read(text);
  const indent = indentOf(document, text);
  let map: unknown = document.contents;
  for (const [depth, key] of path.entries()) {
    if (!isMap(map)) return text + block(path[0]!, nest(path.slice(1), value), indent, 0);
    const pair = map.items.find((one) => isScalar(one.key) && String(one.key.value) === String(key));
    const first = map.items[0]?.key as Node;
    if (pair === undefined) {
      const at = lineEnd(text, endOf(map));
      const before = at > 0 && text[at - 1] !== '\n' ? '\n' : '';
      const column = first.range![0] - lineStart(text, first.range![0]);
      return splice(text, at, at, before + block(key, nest(path.slice(depth + 1), value), indent, column));
    }
    const start = (pair.key as Node).range![0];
    const node = pair.value as Node | null;
    const last = depth === path.length - 1;
    if (last && value === undefined) {
      return splice(text, lineStart(text, start), lineEnd(text, endOf(node ?? pair.key)), '');
    }
    if (last || !isMap(node) || node.flow) {
      const whole = last ? value : merged(node, path.slice(depth + 1), value);
      // An empty `{}` opens up into lines; a map that somebody wrote in one line stays in one.
      const opens = isMap(node) && node.items.length === 0 && !last;
      const inPlace = node !== null && (!isMap(node) || node.flow === true);
      if (!opens && inPlace) return splice(text, node.range![0], endOf(node), inline(whole));
      if (!opens) return splice(text, endOf(pair.key), endOf(node ?? pair.key), `: ${inline(whole)}`);
      const column = start - lineStart(text, start);
      return splice(
        text,
        lineStart(text, start),
        lineEnd(text, endOf(node)),
        block(key, whole, indent, column),
      );
    }
    map = node;
  }
  return text;
}

function nest(path: Key[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);
}

function merged(node: Node | null, path: Key[], value: unknown): unknown {
  const copy = read(stringify(node ?? {}));
  if (value === undefined) copy.deleteIn(path);
  else copy.setIn(path, value);
  return copy.toJS();
}

/** Sets, merges (maps) or removes (`null`) one setting of a document. */
function setSetting(document: Document.Parsed, path: string[], value: unknown): void {
  if (value === undefined) return;
  if (value === null) document.deleteIn(path);
  else if (typeof value === 'object' && isMap(document.getIn(path, true))) {
    for (const [key, inner] of Object.entries(value)) setSetting(document, [...path, key], inner);
  } else document.setIn(path, typeof value === 'object' ? document.createNode(value) : value);
}

/** The same change by yaml's own writer: always right, but it moves comments and spaces about. */
function rewrite(text: string, name: string, patch: Settings | undefined): Document.Parsed {
  const document = read(text);
  if (!isMap(document.contents)) document.contents = document.createNode({}) as never;
  if (!isMap(document.get('streams', true))) document.set('streams', new YAMLMap(document.schema));
  if (patch === undefined) document.deleteIn(['streams', name]);
  else for (const [key, value] of Object.entries(patch)) setSetting(document, ['streams', name, key], value);
  return document;
}

function leaves(patch: Settings, path: string[]): { path: string[]; value: unknown }[] {
  return Object.entries(patch).flatMap(([key, value]) => {
    const at = [...path, key];
    if (value === undefined) return [];
    if (typeof value === 'object' && value !== null && !Array.isArray(value))
      return leaves(value as Settings, at);
    return [{ path: at, value: value ?? undefined }];
  });
}

/**
 * The text of a configuration file with settings of one stream changed: `null` removes a setting, an undefined patch
 * the whole stream. Every other character stays as it was, commented-out settings in their columns included; only
 * where that cannot be done is the file written anew, comments and order kept.
 * Throws when the stream is a YAML alias.
 */
export function editStream(text: string, name: string, patch: Settings | undefined): string {
  const document = rewrite(text, name, patch);
  const wanted: unknown = document.toJS();
  try {
    const changes =
      patch === undefined
        ? [{ path: ['streams', name], value: undefined }]
        : leaves(patch, ['streams', name]);
    const removesLast = patch === undefined && (document.get('streams', true) as YAMLMap).items.length === 0;
    const edited = removesLast
      ? place(text, ['streams'], {})
      : changes.reduce((current, { path, value }) => place(current, path, value), text);
    const result = read(edited);
    if (result.errors.length === 0 && isDeepStrictEqual(result.toJS(), wanted)) return edited;
  } catch {
    // A shape that splicing does not know.
  }
  const left = document.get('streams', true);
  if (isMap(left)) left.flow = left.items.length === 0;
  return document.toString({ lineWidth: 0, indent: indentOf(read(text), text) });
}
