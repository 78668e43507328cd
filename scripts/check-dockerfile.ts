/**
 * Carries out the Dockerfile without a Docker engine: `sudo node scripts/check-dockerfile.ts [work directory]`.
 * Every stage is a directory, made from a plain Debian (debootstrap) with Node 24 and npm added, which is what
 * node:24-bookworm-slim is; RUN lines run in a chroot. At the end the entrypoint is started as the image's user, in
 * a network of its own, until the health check passes. It covers the instructions that this Dockerfile uses.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join, matchesGlob, relative } from 'node:path';

const ROOT = dirname(import.meta.dirname);
const WORK = process.argv[2] ?? '/var/tmp/clearway-dockerfile';
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Stage {
  root: string;
  workdir: string;
  user: string;
  env: Record<string, string>;
}

function host(file: string, ...args: string[]): void {
  execFileSync(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
}

/** A stage's shell, with the file systems a container has, gone with the command. */
function inside(stage: Stage, script: string, network = 'host'): void {
  const user =
    stage.user === 'root'
      ? '0'
      : execFileSync('chroot', [stage.root, 'id', '-u', stage.user]).toString().trim();
  const env = Object.entries({ PATH, HOME: '/root', ...stage.env }).map(
    ([name, value]) => `${name}=${value}`,
  );
  const enter = [
    'chroot',
    `--userspec=${user}:${user}`,
    stage.root,
    'env',
    '-i',
    ...env,
    'sh',
    '-c',
    `cd ${stage.workdir} && ${script}`,
  ];
  const mounts = `mount -t proc proc ${stage.root}/proc && mount --rbind /dev ${stage.root}/dev && exec "$@"`;
  const unshare = ['--mount', '--pid', '--fork', '--kill-child', ...(network === 'none' ? ['--net'] : [])];
  const up = network === 'none' ? 'ip link set lo up && ' : '';
  host('unshare', ...unshare, 'sh', '-ec', `${up}${mounts}`, 'sh', ...enter);
}

/** What stands in for node:24-bookworm-slim. */
function debian(): string {
  const base = join(WORK, 'node-24-bookworm-slim');
  if (existsSync(join(base, 'usr/local/bin/npx'))) return base;
  rmSync(base, { recursive: true, force: true });
  host('debootstrap', '--variant=minbase', 'bookworm', base, 'http://deb.debian.org/debian');
  cpSync(process.execPath, join(base, 'usr/local/bin/node'));
  const npm = join(realpathSync(execFileSync('sh', ['-c', 'command -v npm']).toString().trim()), '../..');
  cpSync(npm, join(base, 'usr/local/lib/node_modules/npm'), { recursive: true });
  for (const name of ['npm', 'npx'])
    host('ln', '-s', `../lib/node_modules/npm/bin/${name}-cli.js`, join(base, 'usr/local/bin', name));
  return base;
}

/** The build context: the checkout less what .dockerignore leaves out (the last pattern that matches decides). */
function context(): string {
  const patterns = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line && !line.startsWith('#'));
  const ignored = (path: string): boolean => {
    let out = false;
    for (const pattern of patterns) {
      const glob = pattern.replace(/^!/, '');
      if (matchesGlob(path, glob) || matchesGlob(path, `${glob}/**`)) out = !pattern.startsWith('!');
    }
    return out;
  };
  const to = join(WORK, 'context');
  rmSync(to, { recursive: true, force: true });
  const visit = (dir: string): void => {
    for (const name of readdirSync(dir)) {
      const path = join(dir, name);
      if (name === 'node_modules' || name === '.git') continue;
      if (statSync(path).isDirectory()) visit(path);
      else if (!ignored(relative(ROOT, path))) cpSync(path, join(to, relative(ROOT, path)));
    }
  };
  visit(ROOT);
  return to;
}

/** As COPY does: a directory's contents, or files into a directory or under a new name. */
function copy(stage: Stage, words: string[], from: string): void {
  const flags = words.filter((word) => word.startsWith('--'));
  const paths = words.filter((word) => !word.startsWith('--'));
  const target = paths.pop() ?? '.';
  const to = join(stage.root, target.startsWith('/') ? target : join(stage.workdir, target));
  for (const path of paths) {
    const source = join(from, path);
    const into = statSync(source).isDirectory() || !/[/.]$/.test(target) ? to : join(to, path);
    mkdirSync(dirname(into), { recursive: true });
    if (statSync(source).isDirectory()) mkdirSync(into, { recursive: true });
    host('cp', '-aT', '--no-preserve=ownership', source, into);
  }
  const owner = flags.find((flag) => flag.startsWith('--chown='))?.slice('--chown='.length);
  if (owner) host('chroot', stage.root, 'chown', '-R', owner, to.slice(stage.root.length));
}

const lines = readFileSync(join(ROOT, 'Dockerfile'), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n')
  .replace(/\\\n/g, ' ')
  .split('\n')
  .filter((line) => line.trim());

/** Carries out the instructions in order; gives the last stage and what the image starts and checks. */
function build(): { image: Stage; entrypoint: string[]; command: string[]; health: string[] } {
  mkdirSync(WORK, { recursive: true });
  const images = new Map([['node:24-bookworm-slim', debian()]]);
  const files = context();
  const out = { entrypoint: [''], command: [''], health: [''] };
  let stage: Stage | undefined;
  for (const line of lines) {
    const [instruction = '', ...words] = line.trim().split(/\s+/);
    const rest = line.trim().slice(instruction.length).trim();
    if (instruction === 'FROM') {
      const [image = '', , name = 'image'] = words.map((word) => word.replace(/\$\{ACCELERATOR\}/, 'cpu'));
      const base = images.get(image);
      stage = base === undefined ? undefined : newStage(base, name);
      if (stage) images.set(name, stage.root);
    }
    console.log(`-- ${line}${stage ? '' : ' (not part of the CPU image)'}`);
    if (!stage) continue;
    if (instruction === 'WORKDIR') {
      stage.workdir = rest;
      mkdirSync(join(stage.root, rest), { recursive: true });
    } else if (instruction === 'COPY') {
      const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
      copy(stage, words, from ? (images.get(from) ?? '') : files);
    } else if (instruction === 'RUN') inside(stage, rest);
    else if (instruction === 'ENV')
      Object.assign(stage.env, Object.fromEntries(words.map((word) => word.split('='))));
    else if (instruction === 'USER') stage.user = rest;
    else if (instruction === 'ENTRYPOINT') out.entrypoint = JSON.parse(rest);
    else if (instruction === 'CMD') out.command = JSON.parse(rest);
    else if (instruction === 'HEALTHCHECK') out.health = JSON.parse(rest.replace(/^.*CMD /, ''));
  }
  if (!stage) throw new Error('the Dockerfile ends without an image');
  return { image: stage, ...out };
}

function newStage(base: string, name: string): Stage {
  const root = join(WORK, `stage-${name}`);
  rmSync(root, { recursive: true, force: true });
  host('cp', '-a', base, root);
  cpSync('/etc/resolv.conf', join(root, 'etc/resolv.conf'), { dereference: true });
  const env: Record<string, string> = { ACCELERATOR: 'cpu' };
  if (process.env.NODE_EXTRA_CA_CERTS) {
    // This host reaches the registry through a proxy with a certificate of its own.
    cpSync(process.env.NODE_EXTRA_CA_CERTS, join(root, 'run/host-ca.pem'), { dereference: true });
    env.NODE_EXTRA_CA_CERTS = '/run/host-ca.pem';
  }
  return { root, workdir: '/', user: 'root', env };
}

const { image, entrypoint, command, health } = build();
const start = [...entrypoint, ...command].join(' ');
console.log(`-- start: ${start}`);
const poll = `for i in $(seq 60); do if ${health.join(' ')}; then echo healthy; kill $pid; wait $pid; exit $?; fi; sleep 1; done`;
inside(image, `{ ${start} & pid=$!; ${poll}; kill $pid; exit 1; }`, 'none');
