import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';

/** How long a child may take to go after SIGTERM, ms. */
const GRACE = 1000;

export interface FfmpegChild extends AsyncDisposable {
  readonly pid: number | undefined;
  /** ffmpeg's console, where it was given one. */
  readonly stdin: Writable | null;
  readonly stderr: Readable;
  /** The other ends of the child's file descriptors 3, 4, ... */
  readonly pipes: Duplex[];
  /** Resolves when the process is gone and its pipes are read to the end; never rejects. */
  readonly closed: Promise<ChildExit>;
  /** Ends the whole process group: SIGTERM, and SIGKILL a second later. Resolves when it is gone. */
  stop(): Promise<ChildExit>;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** Set when the program could not be started at all. */
  error?: Error;
}

/**
 * util-linux's setpriv has the kernel kill the child when its parent dies, however that happens (prctl(2),
 * PR_SET_PDEATHSIG). Where it is missing, the child goes at its next write to a closed pipe, or at the latest when
 * its network timeout ends.
 */
let parentDeath: string[] | undefined;
export function parentDeathPrefix(): string[] {
  parentDeath ??=
    process.platform === 'linux' &&
    spawnSync('setpriv', ['--pdeathsig', 'KILL', 'true'], { stdio: 'ignore', timeout: 5000 }).status === 0
      ? ['setpriv', '--pdeathsig', 'KILL']
      : [];
  return parentDeath;
}

/**
 * Starts one ffmpeg as the leader of a process group of its own, with `pipes` pipes from descriptor 3 on.
 * @param env changes to its environment; `undefined` takes a variable out
 * @param stdin `pipe`: it has a console, which reads commands
 */
export function spawnFfmpeg(
  path: string,
  args: string[],
  pipes = 0,
  env: Record<string, string | undefined> = {},
  stdin: 'ignore' | 'pipe' = 'ignore',
): FfmpegChild {
  const [file = path, ...rest] = [...parentDeathPrefix(), path, ...args];
  const child: ChildProcess = spawn(file, rest, {
    detached: true,
    env: { ...process.env, ...env },
    stdio: [stdin, 'ignore', 'pipe', ...new Array<'pipe'>(pipes).fill('pipe')],
  });
  // A command written as it goes: its exit says why it went.
  child.stdin?.on('error', () => {});
  const closed = new Promise<ChildExit>((resolve) => {
    child.once('error', (error) => resolve({ code: null, signal: null, error }));
    child.once('close', (code, signal) =>
      // setpriv's way to say that it could not execute what it was given.
      resolve(code === 127 ? { code, signal, error: new Error(`cannot execute ${path}`) } : { code, signal }),
    );
  });
  return {
    pid: child.pid,
    stdin: child.stdin,
    stderr: child.stdio[2] as Readable,
    pipes: child.stdio.slice(3) as Duplex[],
    closed,
    stop: () => stop(child, closed),
    async [Symbol.asyncDispose]() {
      await stop(child, closed);
    },
  };
}

async function stop(child: ChildProcess, closed: Promise<ChildExit>): Promise<ChildExit> {
  if (child.pid === undefined) return closed;
  const running = child.exitCode === null && child.signalCode === null;
  if (running) {
    signalGroup(child.pid, 'SIGTERM');
    const kill = setTimeout(signalGroup, GRACE, child.pid, 'SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    clearTimeout(kill);
  }
  // Whatever the leader left behind in its group.
  signalGroup(child.pid, 'SIGKILL');
  for (const pipe of child.stdio) pipe?.destroy();
  return closed;
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
