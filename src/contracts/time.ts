/** Unix time in ms that never jumps: the process's monotonic clock on its start time. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
