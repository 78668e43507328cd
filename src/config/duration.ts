import { z } from 'zod';

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** A duration as people write it (`250ms`, `10s`, `5m`); parsed to milliseconds. A bare number is milliseconds. */
export const duration = z
  .union([
    z.number().nonnegative(),
    z.string().regex(/^\d+(\.\d+)?(ms|s|m|h)$/, 'write a duration such as 250ms, 10s or 5m'),
  ])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, amount, unit] = /^([\d.]+)(ms|s|m|h)$/.exec(value)!;
    return Number(amount) * UNITS[unit!]!;
  });
