import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

const NAME = 'clearway_session';
const LIFETIME_S = 7 * 24 * 3600;

const payloadSchema = z.object({ user: z.string(), expires: z.number() });

/**
 * The page's login cookie: user and expiry, signed with a key that lives as long as the process (a restart asks for
 * the password again). The user's password hash is part of what is signed, so a new password ends old sessions.
 */
export class SessionCookies {
  readonly #key = randomBytes(32);
  readonly #attributes: string;

  /** `secure`: the cookie is only sent over TLS. */
  constructor(secure: boolean) {
    this.#attributes = `Path=/; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`;
  }

  /** The Set-Cookie value that signs a user in for a week. */
  issue(user: string, passwordHash: string): string {
    const payload = Buffer.from(JSON.stringify({ user, expires: Date.now() + LIFETIME_S * 1000 })).toString(
      'base64url',
    );
    const value = `${payload}.${this.#sign(payload, passwordHash)}`;
    return `${NAME}=${value}; Max-Age=${LIFETIME_S}; ${this.#attributes}`;
  }

  /** The Set-Cookie value that signs out. */
  clear(): string {
    return `${NAME}=; Max-Age=0; ${this.#attributes}`;
  }

  /** The user a Cookie header proves, where `hashOf` tells the configured hash of a user. */
  verify(header: string | undefined, hashOf: (user: string) => string | undefined): string | undefined {
    const value = header
      ?.split(';')
      .map((pair) => pair.trim())
      .find((pair) => pair.startsWith(`${NAME}=`))
      ?.slice(NAME.length + 1);
    const [payload, signature] = value?.split('.') ?? [];
    if (!payload || !signature) return undefined;
    let claims: z.infer<typeof payloadSchema>;
    try {
      claims = payloadSchema.parse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
    } catch {
      return undefined;
    }
    const hash = hashOf(claims.user);
    if (hash === undefined || claims.expires < Date.now()) return undefined;
    const expected = Buffer.from(this.#sign(payload, hash));
    const given = Buffer.from(signature);
    return given.length === expected.length && timingSafeEqual(given, expected) ? claims.user : undefined;
  }

  #sign(payload: string, passwordHash: string): string {
    return createHmac('sha256', this.#key).update(`${payload}\0${passwordHash}`).digest('base64url');
  }
}
