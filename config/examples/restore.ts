// Restores a video file from TypeScript; Node 24 runs it as it is, and it needs no package.
//
//     node config/examples/restore.ts in.mp4 out.mp4
//
// CLEARWAY_URL (default http://127.0.0.1:8080); CLEARWAY_TOKEN when auth is configured.
import { createWriteStream, openAsBlob } from 'node:fs';
import { basename } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The part of a job that is used here; /openapi.json has all of it. */
interface Job {
  state: 'queued' | 'running' | 'done' | 'failed' | 'cancelled';
  progress?: { frames: number; total?: number; fps: number; left?: number };
  urls: { self: string; video: string };
}

const gateway = process.env.CLEARWAY_URL ?? 'http://127.0.0.1:8080';
const token = process.env.CLEARWAY_TOKEN;

/** One request; an error is thrown with what the gateway says about it (problem+json). */
async function ask(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(new URL(path, gateway), { ...init, headers });
  if (answer.ok) return answer;
  const { code, detail } = (await answer.json()) as { code: string; detail: string };
  throw new Error(`${code}: ${detail}`);
}

const [input, output] = process.argv.slice(2);
if (input === undefined || output === undefined) throw new Error('usage: restore.ts INPUT OUTPUT');

const form = new FormData();
form.set('denoise_strength', '0.8');
// Reads the file while it is sent.
form.set('file', await openAsBlob(input), basename(input));
let job = (await (await ask('/restore/video', { method: 'POST', body: form })).json()) as Job;
while (job.state === 'queued' || job.state === 'running') {
  await new Promise((resolve) => setTimeout(resolve, 500));
  job = (await (await ask(job.urls.self)).json()) as Job;
  if (job.progress) console.error(`${job.progress.frames} of ${job.progress.total ?? '?'} frames`);
}
// A job that failed answers with its error.
const video = await ask(job.urls.video);
await pipeline(Readable.fromWeb(video.body as never), createWriteStream(output));
