// npm test [-- <path, part of a path, or part of a test's name>...]: installs what is missing, then types, lint and
// all tests; with arguments only the tests they name.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { checkHost, ensureModules } from './lib/modules.mjs';
import { ensurePage } from './lib/page.mjs';
import { exitCode, main, NODE, quiet, ROOT, STOP_SIGNALS, Stop, say } from './lib/run.mjs';
import { ensureTools, FFMPEG, findChromium, TEST_TOOLS } from './lib/tools.mjs';

// They only bound hangs; CLEARWAY_TEST_TIMEOUT (seconds a file) is for machines slower than two cores.
const FILE_SECONDS = Number(process.env.CLEARWAY_TEST_TIMEOUT) || 300;
const TEST_SECONDS = FILE_SECONDS * 0.8;
const RUN_SECONDS = FILE_SECONDS * 8;

/** Files that are named before they run. */
const LISTED = 10;

/** Every test file under a directory, relative to the checkout, sorted. */
function testFiles(dir) {
  return readdirSync(dir, { withFileTypes: true })
    .flatMap((entry) => {
      const path = join(dir, entry.name);
      if (entry.isDirectory()) return testFiles(path);
      return entry.name.endsWith('.test.ts') ? [relative(ROOT, path)] : [];
    })
    .sort();
}

/** Which files, and which of their tests, the arguments mean. Throws a Stop when they mean none. */
function select(filters) {
  const all = testFiles(join(ROOT, 'test'));
  const files = new Set();
  const options = [];
  const names = [];
  for (const filter of filters) {
    const path = relative(ROOT, join(process.env.INIT_CWD ?? ROOT, filter));
    const isPath = existsSync(join(ROOT, path)) && path !== '';
    const inside = isPath && statSync(join(ROOT, path)).isDirectory() ? `${path}/` : path;
    const found = all.filter((file) => (isPath ? file.startsWith(inside) : file.includes(filter)));
    if (filter.startsWith('-')) options.push(filter);
    else if (found.length > 0) for (const file of found) files.add(file);
    else names.push(filter);
  }
  const named = files.size > 0 ? [...files] : all;
  if (names.length === 0) return { files: named, options };
  const found = named.filter((file) => names.some((name) => mentions(file, name)));
  if (found.length === 0) {
    const asked = names.map((name) => `"${name}"`).join(', ');
    throw new Stop(
      `no test file has ${asked} in its path or in its text; --test-name-pattern=... runs them all to find a name that is composed`,
    );
  }
  return { files: found, options: [...options, ...names.map((name) => `--test-name-pattern=${name}`)] };
}

/** Whether a test of that name, or one that matches it as node reads patterns, can be in a file. */
function mentions(file, name) {
  const text = readFileSync(join(ROOT, file), 'utf8');
  if (text.includes(name)) return true;
  try {
    return new RegExp(name).test(text);
  } catch {
    return false;
  }
}

/** The first of a list, and how many more there are. */
function short(list) {
  const more = list.length - LISTED;
  return list.slice(0, LISTED).join(', ') + (more > 0 ? ` and ${more} more` : '');
}

/** Node's own runner over the files, in a process group of its own so that nothing it started outlives it. */
async function runTests({ files, options }) {
  const args = [
    '--test',
    '--test-reporter=spec',
    // More than the two cores it is made for: much of the time a file waits for cameras and browsers.
    '--test-concurrency=3',
    `--test-timeout=${TEST_SECONDS * 1000}`,
    '--import=./scripts/test-deadline.mjs',
  ];
  const child = spawn(NODE, [...args, ...options, ...files], {
    cwd: ROOT,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
    env: { ...process.env, CLEARWAY_TEST_FILE_SECONDS: String(FILE_SECONDS), CHROMIUM: findChromium() },
  });
  const killGroup = () => {
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch {
      // Nothing is left in the group.
    }
  };
  const watchdog = setTimeout(() => {
    say(`the tests did not end within ${RUN_SECONDS} s: stopping them`);
    killGroup();
  }, RUN_SECONDS * 1000);
  for (const signal of STOP_SIGNALS) process.on(signal, killGroup);
  const [code, signal] = await once(child, 'exit');
  clearTimeout(watchdog);
  killGroup();
  return exitCode(code, signal);
}

await main(async () => {
  checkHost();
  const filters = process.argv.slice(2);
  const selected = select(filters);
  if (filters.length > 0) say(`test files: ${short(selected.files)}`);
  await ensureModules();
  await ensureTools([FFMPEG, ...TEST_TOOLS]);
  await ensurePage();
  if (filters.length === 0) {
    for (const check of ['typecheck', 'lint']) {
      say(`${check}...`);
      await quiet(['npm', 'run', '--silent', check]).catch((error) => {
        throw error instanceof Stop ? new Stop(`${check} failed\n${error.message}`) : error;
      });
    }
  }
  process.exitCode = await runTests(selected);
});
