/** Where the first process of the gateway leaves the moment its clock began, for its children and threads. */
const EPOCH = 'CLEARWAY_CLOCK_EPOCH';

/** ms since the host's boot, the same in every process and thread. */
function sinceBoot(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** Unix ms at the host's boot, as the first process saw it. */
function epoch(): number {
  const inherited = Number(process.env[EPOCH]);
  if (inherited > 0) return inherited;
  const own = Date.now() - sinceBoot();
  process.env[EPOCH] = String(own);
  return own;
}

const boot = epoch();

/**
 * Unix time in ms that never jumps, and is the same in every process and thread of a gateway, whenever they were
 * started: the host's monotonic clock on one start time. Setting the host's clock does not move it.
 *
 * `performance.now()` would do but for its origin, which is another in each thread: the difference has to be read once
 * from two clocks, and a thread that is preempted between the two would be behind all others for good.
 */
export function now(): number {
  return boot + sinceBoot();
}
