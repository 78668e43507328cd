import type { FastifyInstance } from 'fastify';
import type { Auth, Identity } from './auth.ts';
import { checkBody, loginSchema } from './schemas.ts';

const LOGINS = { config: { rateLimit: { max: 30, timeWindow: '1 minute' } } };

function shown({ name, role, streams, files }: Identity): Omit<Identity, 'via'> {
  return { name, role, streams, files };
}

/** `/api/v1/session`, `login`, `logout`: how the page knows its user. */
export function registerLogin(app: FastifyInstance, auth: Auth): void {
  app.get('/api/v1/session', async (request) => {
    if (!auth.enabled) return { auth: false };
    // A page with stale credentials is to show its login form, not an error.
    const identity = await auth.identify(request).catch(() => undefined);
    return identity ? { auth: true, user: shown(identity) } : { auth: true };
  });

  app.post('/api/v1/login', LOGINS, async (request, reply) => {
    const { user, password } = checkBody(loginSchema, request.body);
    const { identity, cookie } = await auth.login(user, password, request.ip);
    return reply.header('set-cookie', cookie).send({ auth: true, user: shown(identity) });
  });

  app.post('/api/v1/logout', LOGINS, async (_request, reply) =>
    reply.code(204).header('set-cookie', auth.cookies.clear()).send(),
  );
}
