import type { IncomingHttpHeaders } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../config/schema.ts';
import { ClearwayError } from '../contracts/errors.ts';
import type { Guard, Role } from '../contracts/http.ts';
import type { Logger } from '../telemetry/log.ts';
import { Attempts } from './attempts.ts';
import { hostIsLocal, type Requester, sameOrigin } from './origin.ts';
import { verifyPassword, verifyToken } from './secrets.ts';
import { SessionCookies } from './session-cookie.ts';
import { Verdicts } from './verdicts.ts';

/** Somebody the gateway knows, and what they may do. */
export interface Identity {
  name: string;
  role: Role;
  /** Stream names, or `*`. */
  streams: readonly string[];
  /** Whether they may have files restored. */
  files: boolean;
  /** How they proved it; `open`: auth is off. */
  via: 'open' | 'basic' | 'bearer' | 'query' | 'cookie';
}

const EVERYBODY: Identity = { name: 'local', role: 'admin', streams: ['*'], files: true, via: 'open' };
/** Ten different wrong secrets a minute. */
const MAX_FAILURES = 10;
const FAILURE_WINDOW_MS = 60_000;
/** Passwords checked at a time: each holds 32 MiB and a thread of libuv's pool, which the file system needs too. */
const MAX_CHECKS = 2;
const MAX_WAITING = 32;
/** What an unknown user's password is checked against, so that the answer takes as long as a known user's. */
const NOBODY = `scrypt:32768:8:1:${'A'.repeat(22)}:${'A'.repeat(43)}`;
/** Players of HLS and browsers' WebSockets cannot set headers; nothing else takes a token from its URL. */
const QUERY_TOKEN_PATH = /^\/(?:hls\/|events(?:\?|$))/;

type AuthConfig = Config['auth'];

function unauthorized(message: string): ClearwayError {
  return new ClearwayError('CLEARWAY_UNAUTHORIZED', message, { status: 401 });
}

function forbidden(message: string): ClearwayError {
  return new ClearwayError('CLEARWAY_FORBIDDEN', message, { status: 403 });
}

/** Whether somebody may do something; without `stream`: to the whole gateway. */
export function may(identity: Identity, role: Role, stream?: string): boolean {
  if (role === 'admin' && identity.role !== 'admin') return false;
  return identity.streams.includes('*') || (stream !== undefined && identity.streams.includes(stream));
}

/** What an entry of the configuration grants; who may change everything may restore files too unless it says no. */
function granted({ name, role, streams, files }: AuthConfig['tokens'][number] | AuthConfig['users'][number]) {
  return { name, role, streams, files: files ?? (role === 'admin' && streams.includes('*')) };
}

/** A Basic challenge to a page's own fetch would make the browser ask for a password in a window of its own. */
function challenges(headers: IncomingHttpHeaders): string[] {
  const fetchedByPage =
    (headers['user-agent'] ?? '').startsWith('Mozilla/') && !headers.accept?.includes('text/html');
  const basic = fetchedByPage ? [] : ['Basic realm="Clearway", charset="UTF-8"'];
  return ['Bearer realm="Clearway"', ...basic];
}

/** Finds out who asks: session cookie, HTTP Basic, bearer token. With no users and no tokens, everybody may do all. */
export class Auth {
  readonly cookies: SessionCookies;
  #config: AuthConfig;
  readonly #logger: Logger;
  readonly #attempts = new Attempts(MAX_FAILURES, FAILURE_WINDOW_MS);
  readonly #verdicts = new Verdicts();
  readonly #identified = new WeakMap<object, Promise<Identity | undefined>>();
  #checking = 0;
  readonly #waiting: (() => void)[] = [];

  /** `secure`: the gateway speaks TLS. */
  constructor(config: AuthConfig, secure: boolean, logger: Logger) {
    this.#config = config;
    this.#logger = logger;
    this.cookies = new SessionCookies(secure);
  }

  get enabled(): boolean {
    return this.#config.users.length > 0 || this.#config.tokens.length > 0;
  }

  /** Takes new users and tokens; who is no longer configured is out at their next request. */
  update(config: AuthConfig): void {
    this.#config = config;
  }

  /** Who asks; undefined when they say nothing about it. Throws 401 for wrong credentials, 429 for too many of them. */
  identify(requester: Requester): Promise<Identity | undefined> {
    const known = this.#identified.get(requester);
    if (known) return known;
    const found = this.#identify(requester);
    this.#identified.set(requester, found);
    return found;
  }

  /** Signs a user in; returns the Set-Cookie value. Throws 401 or 429. */
  async login(user: string, password: string, ip: string): Promise<{ identity: Identity; cookie: string }> {
    const found = await this.#checkPassword(user, password, ip);
    return { identity: this.#user(user, 'cookie')!, cookie: this.cookies.issue(user, found.password) };
  }

  /** The guard of src/contracts/http.ts. */
  readonly guard: Guard = (role, stream) => async (request, reply) => {
    const identity = await this.require(request, reply, role);
    const name = stream?.(request);
    if (may(identity, role, name)) return;
    const what = name === undefined ? 'the whole gateway' : `stream ${name}`;
    throw forbidden(
      `${identity.name} may not ${role === 'admin' ? 'change' : 'read'} ${what}; see auth in clearway.yml.`,
    );
  };

  /** Who asks, or a 401 that says how to prove it; refuses other sites' pages. */
  async require(request: FastifyRequest, reply: FastifyReply, role: Role): Promise<Identity> {
    try {
      const identity = await this.identify(request);
      if (identity) {
        this.checkOrigin(request, identity, role);
        return identity;
      }
      throw unauthorized('Sign in, or send a bearer token (Authorization: Bearer ...).');
    } catch (error) {
      if (error instanceof ClearwayError && error.status === 401) {
        reply.header('www-authenticate', challenges(request.headers));
      }
      throw error;
    }
  }

  /** Refuses what another site's page makes a browser send: changes (CSRF), and anything by DNS rebinding. */
  checkOrigin(requester: Requester, identity: Identity, role: Role): void {
    const { via } = identity;
    if (via === 'open' && !hostIsLocal(requester.headers)) {
      throw forbidden(
        'Without auth the gateway answers only to localhost and to addresses: configure auth, or let the proxy in front send Host: 127.0.0.1.',
      );
    }
    if (['GET', 'HEAD', 'OPTIONS'].includes(requester.method)) return;
    const from = sameOrigin(requester.headers);
    if (via === 'cookie' ? from !== 'yes' : via === 'open' && role === 'admin' && from === 'no') {
      throw forbidden(
        'This change came from another site: make it on the gateway’s own page, or with a token.',
      );
    }
  }

  async #identify(requester: Requester): Promise<Identity | undefined> {
    if (!this.enabled) return EVERYBODY;
    const { authorization = '', cookie } = requester.headers;
    const [scheme = '', credentials = ''] = authorization.split(/ +/, 2);
    if (/^basic$/i.test(scheme)) {
      const [name = '', ...password] = Buffer.from(credentials, 'base64').toString().split(':');
      await this.#checkPassword(name, password.join(':'), requester.ip);
      return this.#user(name, 'basic');
    }
    if (/^bearer$/i.test(scheme)) return this.#checkToken(credentials, requester.ip, 'bearer');
    if (QUERY_TOKEN_PATH.test(requester.url)) {
      const token = new URLSearchParams(requester.url.split('?', 2)[1]).get('token');
      if (token !== null) return this.#checkToken(token, requester.ip, 'query');
    }
    const user = this.cookies.verify(cookie, (name) => this.#find(name)?.password);
    return user === undefined ? undefined : this.#user(user, 'cookie');
  }

  #find(name: string): AuthConfig['users'][number] | undefined {
    return this.#config.users.find((user) => user.name === name);
  }

  #user(name: string, via: Identity['via']): Identity | undefined {
    const user = this.#find(name);
    return user && { ...granted(user), via };
  }

  async #checkPassword(name: string, password: string, ip: string): Promise<AuthConfig['users'][number]> {
    const user = this.#find(name);
    const hash = user?.password ?? NOBODY;
    const { fresh, result } = this.#verdicts.judge(`${name}\0${password}`, hash, async () => {
      const turn = this.#takeTurn();
      if (turn) await turn;
      try {
        this.#refuseGuessing(ip);
        return await verifyPassword(password, hash);
      } finally {
        this.#endTurn();
      }
    });
    if ((await result) && user) return user;
    // A player that repeats one old password is not guessing.
    if (fresh) this.#wrong(ip);
    throw unauthorized('Wrong user or password.');
  }

  async #checkToken(token: string, ip: string, via: Identity['via']): Promise<Identity> {
    let found: AuthConfig['tokens'][number] | undefined;
    for (const entry of this.#config.tokens) if (verifyToken(token, entry.token)) found = entry;
    if (found) return { ...granted(found), via };
    this.#refuseGuessing(ip);
    const { fresh } = this.#verdicts.judge(token, '', async () => false);
    if (fresh) this.#wrong(ip);
    throw unauthorized('This token is not known here.');
  }

  #wrong(ip: string): void {
    const refused = this.#attempts.wait(ip) > 0;
    this.#attempts.fail(ip);
    const wait = this.#attempts.wait(ip);
    if (refused || wait === 0) return;
    this.#logger.warn(
      { peer: ip, seconds: wait },
      'too many wrong passwords or tokens from this address: no others are tried for a while',
    );
  }

  #refuseGuessing(ip: string): void {
    const wait = this.#attempts.wait(ip);
    if (wait === 0) return;
    throw new ClearwayError('CLEARWAY_RATE_LIMITED', `Too many wrong passwords from ${ip}; wait ${wait} s.`, {
      status: 429,
      retryable: true,
      retryAfter: wait,
    });
  }

  #takeTurn(): Promise<void> | undefined {
    if (this.#checking < MAX_CHECKS) {
      this.#checking++;
      return undefined;
    }
    if (this.#waiting.length >= MAX_WAITING) {
      throw new ClearwayError('CLEARWAY_OVERLOADED', 'Too many people sign in at this moment; try again.', {
        status: 503,
        retryable: true,
        retryAfter: 5,
      });
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #endTurn(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#checking--;
  }
}
