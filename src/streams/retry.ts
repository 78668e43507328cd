/** Waits between attempts, ms: quick at first, patient later. The last repeats for ever. */
const LADDER = [
  ...Array<number>(5).fill(1000),
  ...Array<number>(5).fill(5000),
  ...Array<number>(10).fill(10_000),
  60_000,
];

/** Share by which a wait varies, so that many streams do not return at once. */
const JITTER = 0.2;

/** How long to wait before attempt number `failures + 1`, ms. The same for first and later connects. */
export function retryDelay(failures: number, random: () => number = Math.random): number {
  const wait = LADDER[Math.min(failures, LADDER.length) - 1] ?? LADDER[0]!;
  return Math.round(wait * (1 + JITTER * (2 * random() - 1)));
}
