/** JSON, loosely. */
export type Json = Record<string, unknown>;

/** One route of the API in words; `openapi()` makes OpenAPI of it and the docs page a section. */
export interface Operation {
  summary: string;
  description?: string;
  tag: 'streams' | 'play' | 'files' | 'session' | 'gateway';
  /** Whether auth does not apply. */
  open?: boolean;
  query?: Json;
  headers?: Json;
  /** The request body by media type; a reference takes its example from the component. */
  body?: Record<string, Content>;
  /** Status, what it means, and its body. */
  answers: Record<number, Answer>;
}

export interface Content {
  schema: Json;
  example?: unknown;
}

export interface Answer {
  says: string;
  /** By media type. */
  content?: Record<string, Content>;
  headers?: Record<string, string>;
}

/** Routes by path and method. */
export type Paths = Record<string, Record<string, Operation>>;

export const JSON_TYPE = 'application/json';
export const TEXT: Json = { type: 'string' };
/** Bytes, not described any further. */
export const BINARY: Json = {};

export const ref = (name: string): Json => ({ $ref: `#/components/schemas/${name}` });
export const list = (name: string): Json => ({ type: 'array', items: ref(name) });

export function json(says: string, schema: Json, example?: unknown): Answer {
  return body(says, JSON_TYPE, schema, example);
}

export function body(says: string, type: string, schema: Json, example?: unknown): Answer {
  return { says, content: { [type]: { schema, ...(example === undefined ? {} : { example }) } } };
}
