import { z } from 'zod';

const UNITS: Record<string, number> = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 };

/** A size as people write it (`512MiB`, `4GiB`); parsed to bytes. A bare number is bytes. */
export const size = z
  .union([
    z.number().int().nonnegative(),
    z.string().regex(/^\d{1,9}(\.\d{1,3})?(B|KiB|MiB|GiB|TiB)$/, 'write a size such as 512MiB or 4GiB'),
  ])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, amount, unit] = /^([\d.]+)(\w+)$/.exec(value)!;
    return Math.round(Number(amount) * UNITS[unit!]!);
  });

/** Bytes as people read them: `512 MiB`, `1.5 GiB`. */
export function sizeText(bytes: number): string {
  const [unit, factor] = Object.entries(UNITS).findLast(([, factor]) => bytes >= factor) ?? ['B', 1];
  return `${Number((bytes / factor).toFixed(1))} ${unit}`;
}
