/** The frame whose time is nearest to `time`; `times` rise, in seconds. */
export function nearest(times: readonly number[], time: number): number {
  let [low, high] = [0, times.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  const before = low > 0 ? low - 1 : low;
  return time - times[before]! <= (times[low] ?? time) - time ? before : low;
}
