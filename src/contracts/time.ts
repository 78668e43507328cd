/** Where the first process of the gateway leaves the moment its clock began, for its children and threads. */
const EPOCH = 'CLEARWAY_CLOCK_EPOCH';

/** Unix ms at the host's boot, as the first process saw it. */
function epoch(monotonic: number): number {
  const inherited = Number(process.env[EPOCH]);
  if (inherited > 0) return inherited;
  const own = Date.now() - monotonic;
  process.env[EPOCH] = String(own);
  return own;
}

const monotonic = Number(process.hrtime.bigint()) / 1e6;
const offset = epoch(monotonic) + monotonic - performance.now();

/**
 * Unix time in ms that never jumps, and is the same in every process and thread of a gateway, whenever they were
 * started: the host's monotonic clock on one start time. Setting the host's clock does not move it.
 */
export function now(): number {
  return offset + performance.now();
}
