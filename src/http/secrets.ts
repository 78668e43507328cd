import { createHash, randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';
import { ClearwayError } from '../contracts/errors.ts';

const derive = promisify<string, Buffer, number, ScryptOptions, Buffer>(scrypt);

/** 32 MiB and about 80 ms a password on one core: OWASP's second choice of scrypt parameters for p = 1 is 2^16. */
const COST = { N: 2 ** 15, r: 8, p: 1 };
const KEY_BYTES = 32;
const MAX_SECRET = 1024;
/** No configured hash may ask for more than this. */
const MAX_MEMORY = 256 * 1024 * 1024;

/** `scrypt:N:r:p:salt:hash` (RFC 7914; salt and hash in base64url) of a password, for `auth.users[].password`. */
export async function hashPassword(password: string): Promise<string> {
  if (password.length === 0 || password.length > MAX_SECRET) {
    throw new ClearwayError('CLEARWAY_BAD_REQUEST', `A password has 1 to ${MAX_SECRET} characters.`, {
      status: 400,
    });
  }
  const salt = randomBytes(16);
  const key = await derive(password.normalize('NFKC'), salt, KEY_BYTES, { ...COST, maxmem: MAX_MEMORY });
  const { N, r, p } = COST;
  return ['scrypt', N, r, p, salt.toString('base64url'), key.toString('base64url')].join(':');
}

/** `sha256:<hex>` of a bearer token, for `auth.tokens[].token`. Tokens are long and random, so one hash is enough. */
export function hashToken(token: string): string {
  return `sha256:${createHash('sha256').update(token).digest('hex')}`;
}

/** Whether a password matches a hash made by `hashPassword`. Costs what the hash says; takes the same time either way. */
export async function verifyPassword(password: string, stored: string): Promise<boolean> {
  const [, N, r, p, salt = '', hash = ''] = stored.split(':');
  const expected = Buffer.from(hash, 'base64url');
  const cost = { N: Number(N), r: Number(r), p: Number(p) };
  if (password.length > MAX_SECRET || 128 * cost.N * cost.r > MAX_MEMORY) return false;
  try {
    const given = await derive(password.normalize('NFKC'), Buffer.from(salt, 'base64url'), expected.length, {
      ...cost,
      maxmem: 2 * MAX_MEMORY,
    });
    return timingSafeEqual(given, expected);
  } catch {
    // Parameters that scrypt does not take (N not a power of two): no password matches.
    return false;
  }
}

/** Whether a bearer token matches a hash made by `hashToken`, in constant time. */
export function verifyToken(token: string, stored: string): boolean {
  return timingSafeEqual(Buffer.from(hashToken(token)), Buffer.from(stored.padEnd(71).slice(0, 71)));
}
