import { createHash } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import { openapi } from './openapi/document.ts';

const STYLE = `
:root{color-scheme:light dark;--line:#8884;--soft:#8882}
body{font:16px/1.5 system-ui,sans-serif;max-width:56rem;margin:0 auto;padding:2rem 1rem 6rem}
h1{margin:0}h2{margin:2.5rem 0 .5rem;text-transform:capitalize}
details{border:1px solid var(--line);border-radius:.5rem;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
code,pre{font:.875em/1.5 ui-monospace,monospace}
pre{background:var(--soft);border-radius:.4rem;padding:.7rem;overflow:auto}
.method{font-weight:700;width:4rem}.says{opacity:.75}
table{border-collapse:collapse;width:100%}td{border-top:1px solid var(--line);padding:.3rem .6rem .3rem 0;vertical-align:top}
`;
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
const CSP = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; frame-ancestors 'self'`;

const document = openapi();

interface Described {
  summary: string;
  description?: string;
  tags: string[];
  security?: unknown[];
  parameters: {
    in: string;
    name: string;
    schema: { description?: string; enum?: string[]; const?: string };
  }[];
  requestBody?: { content: Record<string, { schema: Reference }> };
  responses: Record<string, { description?: string }>;
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}

/** The arguments of curl that send an example of the body. */
function sample({ requestBody }: Described): string {
  const [[type, { schema }] = ['', { schema: {} }]] = Object.entries(requestBody?.content ?? {});
  if (type === 'multipart/form-data') return ' -F file=@video.mp4 -F denoise_strength=0.8';
  if (type === 'application/json') return ` --json '${JSON.stringify(componentOf(schema)?.examples?.[0])}'`;
  return type === '' ? '' : ` -H 'Content-Type: ${type}' --data-binary @-`;
}

function example(method: string, path: string, operation: Described, base: string): string {
  const body = sample(operation);
  // curl chooses POST by itself for these.
  const verb = method === 'get' || (method === 'post' && / (?:-F|--json) /.test(body));
  const headers = operation.parameters.flatMap(({ in: place, name, schema }) =>
    place === 'header' && schema.const !== undefined ? ` -H '${name}: ${schema.const}'` : [],
  );
  return `curl ${verb ? '' : method === 'head' ? '-I ' : `-X ${method.toUpperCase()} `}-H 'Authorization: Bearer TOKEN'${headers.join('')} '${base}${path}'${body}`;
}

interface Reference {
  $ref?: string;
}

interface Component {
  examples?: unknown[];
  properties?: Record<string, { description?: string; type?: string; enum?: string[]; default?: unknown }>;
  required?: string[];
}

function componentOf({ $ref: reference }: Reference): Component | undefined {
  return reference === undefined ? undefined : document.components.schemas[reference.split('/').at(-1)!];
}

/** The settings a body takes, each with what it means. */
function bodyFields({ requestBody }: Described): [string, string][] {
  const all = Object.values(requestBody?.content ?? {}).map(({ schema }) => componentOf(schema));
  const properties: NonNullable<Component['properties']> = {};
  for (const one of all) Object.assign(properties, one?.properties);
  const required = all.length === 1 ? (all[0]?.required ?? []) : [];
  return Object.entries(properties).map(([name, { description, type, enum: words, default: initial }]) => {
    const kind = words?.join(', ') ?? type ?? '';
    const unset = required.includes(name)
      ? 'required'
      : initial === undefined
        ? ''
        : `default ${JSON.stringify(initial)}`;
    return [name, [kind, description, unset].filter(Boolean).join('; ')];
  });
}

function section(method: string, path: string, operation: Described, base: string): string {
  const rows = [
    ...operation.parameters.map(({ in: place, name, schema }) => [
      `${name} (${place})`,
      schema.description ?? schema.enum?.join(', ') ?? '',
    ]),
    ...bodyFields(operation).map(([name, says]) => [`${name} (body)`, says]),
    ...Object.entries(operation.responses).flatMap(([status, { description }]) =>
      description === undefined ? [] : [[status, description]],
    ),
  ];
  const table = rows.map(
    ([key, says]) => `<tr><td><code>${escapeHtml(key!)}</code></td><td>${escapeHtml(says!)}</td></tr>`,
  );
  return `<details><summary><span class="method">${method.toUpperCase()}</span><code>${escapeHtml(path)}</code>
<span class="says">${escapeHtml(operation.summary)}${operation.security ? ' (open)' : ''}</span></summary>
<p>${escapeHtml(operation.description ?? '')}</p><table>${table.join('')}</table>
<pre>${escapeHtml(example(method, path, operation, base))}</pre></details>`;
}

function page(base: string): string {
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => ({
      method,
      path,
      operation: one as unknown as Described,
    })),
  );
  const tags = [...new Set(operations.flatMap(({ operation }) => operation.tags))];
  const sections = tags.map((tag) => {
    const own = operations.filter(({ operation }) => operation.tags.includes(tag));
    return `<h2>${tag}</h2>${own.map(({ method, path, operation }) => section(method, path, operation, base)).join('')}`;
  });
  return `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>Clearway API</title><style>${STYLE}</style></head>
<body><h1>Clearway API</h1><p>The same as a machine reads it: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).
Without users or tokens in <code>clearway.yml</code> leave the Authorization header out. Errors are
problem+json (RFC 9457): a stable <code>code</code>, and a <code>detail</code> that says what to do.</p>${sections.join('')}</body></html>`;
}

/** `/openapi.json` and `/docs`. Both are open: they say nothing about this gateway's streams. */
export function registerDocs(app: FastifyInstance): void {
  const text = JSON.stringify(document);
  app.get('/openapi.json', async (_request, reply) => reply.type('application/json').send(text));
  app.get('/docs', async (request, reply) =>
    reply
      .headers({ 'content-security-policy': CSP, 'cache-control': 'no-cache' })
      .type('text/html; charset=utf-8')
      .send(page(`${request.protocol}://${request.host}`)),
  );
}
