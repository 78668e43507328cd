import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { runInNewContext } from 'node:vm';

/** What our collection uses of the Postman Collection Format 2.1. */
interface Collection {
  auth: { type: 'bearer'; bearer: { key: string; value: string }[] };
  variable: { key: string; value: string }[];
  item: Item[];
}

interface Item {
  name: string;
  request: {
    method: string;
    url: string;
    header?: { key: string; value: string }[];
    body?:
      | { mode: 'raw'; raw: string }
      | {
          mode: 'formdata';
          formdata: { key: string; type: 'file' | 'text'; src?: string; value?: string }[];
        };
  };
  event?: { listen: 'test'; script: { exec: string[] } }[];
}

/** Runs a collection's requests in order with its scripts, as Postman does; gives each one's status. */
export async function runCollection(
  path: string,
  values: Record<string, string>,
): Promise<Record<string, number>> {
  const collection = JSON.parse(await readFile(path, 'utf8')) as Collection;
  const variables = new Map(collection.variable.map(({ key, value }) => [key, values[key] ?? value]));
  const fill = (text: string) => text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => variables.get(name)!);
  const token = fill(collection.auth.bearer[0]!.value);
  const statuses: Record<string, number> = {};
  for (const { name, request, event } of collection.item) {
    const headers = new Headers(request.header?.map(({ key, value }) => [key, fill(value)]));
    headers.set('authorization', `Bearer ${token}`);
    const answer = await fetch(fill(request.url), {
      method: request.method,
      headers,
      body: await bodyOf(request.body, fill),
    });
    const text = await answer.text();
    statuses[name] = answer.status;
    for (const { script } of event ?? []) {
      runInNewContext(script.exec.join('\n'), {
        pm: {
          test: (_: string, check: () => void) => check(),
          collectionVariables: { set: (key: string, value: string) => variables.set(key, value) },
          response: {
            code: answer.status,
            json: () => JSON.parse(text),
            to: { have: { status: (wanted: number) => assert.equal(answer.status, wanted, text) } },
          },
          expect: (found: unknown) => ({
            to: {
              be: { oneOf: (wanted: unknown[]) => assert.ok(wanted.includes(found), `${found}: ${text}`) },
            },
          }),
        },
      });
    }
  }
  return statuses;
}

async function bodyOf(
  body: Item['request']['body'],
  fill: (text: string) => string,
): Promise<string | FormData | null> {
  if (body?.mode === 'raw') return fill(body.raw);
  if (!body) return null;
  const form = new FormData();
  for (const { key, type, src, value } of body.formdata) {
    if (type === 'text') form.set(key, fill(value!));
    else form.set(key, await openAsBlob(fill(src!)), basename(fill(src!)));
  }
  return form;
}
