import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What V8's sampling profiler wrote (`--cpu-prof`). */
interface Profile {
  nodes: { id: number; callFrame: { functionName: string; url: string }; children?: number[] }[];
  /** µs, monotonic */
  startTime: number;
  samples: number[];
  /** µs from one sample to the next. */
  timeDeltas: number[];
}

/** Functions that belong to what is asked about, by file, or by file and name. */
export interface Part {
  url: RegExp;
  name?: RegExp;
}

/**
 * The share of a main thread's busy time that a part of the program takes, callees included, by the samples of its
 * profile: what else runs on the host stretches both alike.
 * @param skip seconds at the beginning that do not count
 * @returns share 0 to 1, and its standard error, from the number of samples
 */
export function shareOf(directory: string, pid: number, parts: Part[], skip: number) {
  const file = readdirSync(directory).find((name) =>
    new RegExp(`\\.${pid}\\.0\\.\\d+\\.cpuprofile$`).test(name),
  );
  if (!file) throw new Error(`process ${pid} left no profile in ${directory}`);
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(join(directory, file), 'utf8')) as Profile;
  const parents = new Map(
    nodes.flatMap(({ id, children = [] }) => children.map((child) => [child, id] as const)),
  );
  const known = new Map(nodes.map((node) => [node.id, node.callFrame]));
  const belongs = (id: number | undefined): boolean => {
    if (id === undefined) return false;
    const { url, functionName } = known.get(id)!;
    const own = parts.some((part) => part.url.test(url) && (part.name?.test(functionName) ?? true));
    return own || belongs(parents.get(id));
  };
  const inside = new Map(nodes.map(({ id }) => [id, belongs(id)]));
  // Nobody's: the garbage of all.
  const none = new Set(
    nodes.flatMap(({ id, callFrame }) => (/^\((idle|garbage)/.test(callFrame.functionName) ? [id] : [])),
  );
  let [at, busy, part, count] = [0, 0, 0, 0];
  for (const [index, id] of samples.entries()) {
    const took = timeDeltas[index]!;
    at += took;
    if (at < skip * 1e6 || none.has(id)) continue;
    busy += took;
    if (!inside.get(id)) continue;
    part += took;
    count++;
  }
  return { share: part / busy, error: part / busy / Math.sqrt(Math.max(1, count)) };
}
