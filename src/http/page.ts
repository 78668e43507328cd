import { access, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { PAGE_CSP } from './headers.ts';
import type { NotFoundPage } from './problem.ts';

const NOT_BUILT = 'The page is not built yet: run `npm run build:web` (npm start does it), then reload.\n';

/** What programs ask for: the Accept of some names text/html without being asked to. */
const FOR_PROGRAMS = /^\/(?:api|hls|restore|snapshot|whep)\//;

/** A browser that is led to no page of ours is given the page all the same, which says so and shows the way. */
export function notFoundPage(webRoot: string): NotFoundPage {
  return async ({ method, url, headers }, reply) => {
    if (FOR_PROGRAMS.test(url) || (method !== 'GET' && method !== 'HEAD')) return undefined;
    reply.header('vary', 'Accept');
    if (!headers.accept?.includes('text/html')) return undefined;
    const html = await readFile(join(resolve(webRoot), 'index.html')).catch(() => undefined);
    if (html === undefined) return undefined;
    return reply
      .code(404)
      .headers({ 'cache-control': 'no-store', 'content-security-policy': PAGE_CSP })
      .type('text/html; charset=utf-8')
      .send(html);
  };
}

/** The page from `webRoot` (what Vite built): `/`, `/streams/:name`, `/files` and `/files/:id`, and the files they load. */
export async function registerPage(app: FastifyInstance, webRoot: string): Promise<void> {
  const root = resolve(webRoot);
  await app.register(fastifyStatic, {
    root,
    index: false,
    cacheControl: false,
    // The directory may be built after the start; its absence is answered below.
    suppressWarning: true,
    setHeaders: (reply, path) => {
      const hashed = path.startsWith(join(root, 'assets'));
      reply.header('cache-control', hashed ? 'public, max-age=31536000, immutable' : 'no-cache');
      if (path.endsWith('.html')) reply.header('content-security-policy', PAGE_CSP);
    },
  });

  const page = async (_request: unknown, reply: FastifyReply) => {
    const built = await access(join(root, 'index.html')).then(
      () => true,
      () => false,
    );
    if (built) return reply.sendFile('index.html');
    return reply.code(503).header('retry-after', '10').type('text/plain; charset=utf-8').send(NOT_BUILT);
  };
  app.get('/', page);
  app.get('/streams/:name', page);
  app.get('/files', page);
  app.get('/files/:id', page);
}
