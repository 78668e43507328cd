import { access } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import fastifyStatic from '@fastify/static';
import type { FastifyInstance, FastifyReply } from 'fastify';
import { PAGE_CSP } from './headers.ts';

const NOT_BUILT = 'The page is not built yet: run `npm run build:web` (npm start does it), then reload.\n';

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
