import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout these scripts belong to. */
export const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Node 24 from the npm package `node`: the host's own Node only has to be able to run npm and these scripts. */
export const NODE = join(ROOT, 'node_modules', 'node', 'bin', 'node');

/** What asks a process to end. */
export const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

/** A failure whose message is all that the user needs to see. */
export class Stop extends Error {}

/** One line a step, on stderr: stdout belongs to the gateway and to the test runner. */
export function say(line) {
  process.stderr.write(`clearway: ${line}\n`);
}

/**
 * Runs a command to its end in the checkout, silent unless it fails: then a Stop with the end of what it printed.
 * @param {string[]} command
 * @param {Record<string, string>} [env] added to the environment
 */
export function quiet(command, env = {}) {
  return new Promise((resolve, reject) => {
    const [file, ...args] = command;
    const child = spawn(file, args, {
      cwd: ROOT,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A stopped script must not leave its installer running: the next one would collide with it.
    const stop = (signal) => {
      child.kill(signal);
      process.exit(exitCode(null, signal));
    };
    for (const signal of STOP_SIGNALS) process.once(signal, stop);
    let output = '';
    const keep = (chunk) => {
      output = (output + chunk).slice(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    child.once('error', (error) => reject(new Stop(`cannot run ${file}: ${error.message}`)));
    child.once('close', (code, signal) => {
      for (const name of STOP_SIGNALS) process.off(name, stop);
      if (code === 0) resolve(output);
      else
        reject(
          new Stop(`\`${command.join(' ')}\` failed (${signal ?? `exit code ${code}`})\n${output.trim()}`),
        );
    });
  });
}

/** The exit code a shell gives a child's end: its own, or 128 + the number of the signal that killed it. */
export function exitCode(code, signal) {
  return code ?? 128 + ({ SIGHUP: 1, SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 0);
}

/** Runs a script's main function; a Stop becomes its message on stderr and exit code 1. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    say(error.message);
    process.exitCode = 1;
  }
}
