import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import WebSocket from 'ws';
import type { ServerEvent } from '../../src/contracts/events.ts';
import { isOver, type JobLimits, type JobStatus } from '../../src/contracts/jobs.ts';
import type { Problem } from '../../src/http/problem.ts';

/** A file to send: by its path, or what is in it. */
export type Sendable = string | { name: string; content: Uint8Array };

/** A caller of /restore, who listens to `WS /events` too. */
export class RestoreClient implements Disposable {
  readonly events: ServerEvent[] = [];
  readonly #url: string;
  readonly #headers: Record<string, string>;
  readonly #socket: WebSocket;
  readonly #emitter = new EventEmitter<{ event: [ServerEvent] }>();

  private constructor(url: string, headers: Record<string, string>) {
    this.#url = url;
    this.#headers = headers;
    this.#emitter.setMaxListeners(0);
    this.#socket = new WebSocket(`${url.replace('http', 'ws')}/events`, { headers });
    this.#socket.on('message', (data) => {
      const event = JSON.parse(String(data)) as ServerEvent;
      this.events.push(event);
      this.#emitter.emit('event', event);
    });
    this.#socket.on('error', () => {});
  }

  /** @param headers e.g. Authorization */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<RestoreClient> {
    const client = new RestoreClient(url, headers);
    while (!client.events.some(({ type }) => type === 'jobs')) await once(client.#emitter, 'event');
    return client;
  }

  /** A caller who does not listen. */
  static silent(url: string, headers: Record<string, string> = {}): RestoreClient {
    return new RestoreClient(url, headers);
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.#url}${path}`, { ...init, headers: { ...this.#headers, ...init.headers } });
  }

  /** Sends a file as a form. */
  async post(file: Sendable, fields: Record<string, string> = {}, query = ''): Promise<Response> {
    const { name, content } =
      typeof file === 'string' ? { name: basename(file), content: await readFile(file) } : file;
    const form = new FormData();
    for (const [field, value] of Object.entries(fields)) form.set(field, value);
    form.set('file', new Blob([new Uint8Array(content)]), name);
    return this.fetch(`/restore/video${query}`, { method: 'POST', body: form });
  }

  /** Sends a request as JSON. */
  json(body: unknown): Promise<Response> {
    const headers = { 'content-type': 'application/json' };
    return this.fetch('/restore/video', { method: 'POST', headers, body: JSON.stringify(body) });
  }

  /** Sends a file that is taken. */
  async submit(file: Sendable, fields: Record<string, string> = {}): Promise<JobStatus> {
    return accepted(await this.post(file, fields));
  }

  /** Sends a file that is refused. */
  async refused(file: Sendable, fields: Record<string, string> = {}): Promise<Problem> {
    return problem(await this.post(file, fields));
  }

  async job(id: string): Promise<JobStatus> {
    return accepted(await this.fetch(`/restore/jobs/${id}`));
  }

  async jobs(): Promise<{ jobs: JobStatus[]; limits: JobLimits }> {
    return (await (await this.fetch('/restore/jobs')).json()) as { jobs: JobStatus[]; limits: JobLimits };
  }

  /** Resolves with the job once it meets a condition, as `WS /events` tells. */
  async until(id: string, condition: (job: JobStatus) => boolean): Promise<JobStatus> {
    const { promise, resolve } = Promise.withResolvers<JobStatus>();
    const look = (event: ServerEvent) => {
      if (event.type === 'job' && event.job.id === id && condition(event.job)) resolve(event.job);
    };
    this.#emitter.on('event', look);
    try {
      const now = await this.job(id);
      return condition(now) ? now : await promise;
    } finally {
      this.#emitter.off('event', look);
    }
  }

  /** The job when nothing more will happen to it. */
  over(id: string): Promise<JobStatus> {
    return this.until(id, isOver);
  }

  /** Resolves once `WS /events` told that a job was removed. */
  async removed(id: string): Promise<void> {
    const told = () => this.events.some((event) => event.type === 'job-removed' && event.id === id);
    while (!told()) await once(this.#emitter, 'event');
  }

  [Symbol.dispose](): void {
    this.#socket.terminate();
  }
}

async function accepted(response: Response): Promise<JobStatus> {
  const body = await response.text();
  assert.ok(response.ok, `${response.status} ${body}`);
  return JSON.parse(body) as JobStatus;
}

/** What an answer that refuses says; it must be problem+json. */
export async function problem(response: Response): Promise<Problem> {
  const text = await response.text();
  assert.equal(response.headers.get('content-type'), 'application/problem+json', text);
  const said = JSON.parse(text) as Problem;
  assert.equal(said.status, response.status);
  return said;
}
