import { readdir, readFile } from 'node:fs/promises';

/** A process as /proc shows it (Linux). */
export interface ProcessFacts {
  pid: number;
  parent: number;
  command: string[];
}

/** Everything that runs below a process, parents before their children; none once it is gone. */
export async function descendants(root: number): Promise<ProcessFacts[]> {
  const all = await processes();
  const below: ProcessFacts[] = [];
  const parents = [root];
  for (const parent of parents) {
    for (const facts of all.filter((facts) => facts.parent === parent)) {
      below.push(facts);
      parents.push(facts.pid);
    }
  }
  return below;
}

/** Whether a process runs: zombies, which only wait to be counted, do not. */
export async function isRunning(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  return stat !== undefined && !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z');
}

async function processes(): Promise<ProcessFacts[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
  const facts = await Promise.all(pids.map(inspect));
  return facts.filter((facts) => facts !== undefined);
}

async function inspect(pid: number): Promise<ProcessFacts | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The program's name, in parentheses, may hold spaces and parentheses of its own.
    const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
    const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
    return { pid, parent, command };
  } catch {
    // It ended meanwhile.
    return undefined;
  }
}
