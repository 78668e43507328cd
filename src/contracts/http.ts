import type { FastifyRequest, preHandlerAsyncHookHandler } from 'fastify';

export type Role = 'read' | 'admin';

/**
 * Makes the preHandler that lets a request through or answers 401/403 problem+json.
 * `stream` names the stream the request is about; absent = the whole gateway.
 */
export type Guard = (role: Role, stream?: (request: FastifyRequest) => string) => preHandlerAsyncHookHandler;
