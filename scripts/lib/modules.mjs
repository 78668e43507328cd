import { existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { NODE, quiet, ROOT, Stop, say } from './run.mjs';

/**
 * Both would download hundreds of megabytes that Clearway does not use. npm 11 and later take this from
 * `allowScripts` in package.json; npm 10 runs every install script, and these two variables make them do nothing.
 */
const NO_DOWNLOADS = { ONNXRUNTIME_NODE_INSTALL: 'skip', SKIP_FFMPEG: 'true' };

/** Refuses hosts for which the native packages have no binaries, before npm says it less clearly. */
export function checkHost() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 18 || (major === 18 && minor < 17)) {
    throw new Stop(`Node ${process.version} is too old to install Clearway: install Node 18.17 or newer`);
  }
  if (process.platform === 'win32') throw new Stop('Windows is not supported: use WSL 2 or Docker');
  if (existsSync('/etc/alpine-release')) {
    throw new Stop('Alpine is not supported: the native packages need glibc, not musl; use the Dockerfile');
  }
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

const fits = (wanted, have) => wanted === undefined || wanted.includes(have);

/** Whether a lockfile entry must be installed here: all but optional packages, and those only where they run. */
function isNeeded({ optional, devOptional, os, cpu, libc }) {
  if (!optional && !devOptional) return true;
  const native = os !== undefined && cpu !== undefined;
  return native && fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, 'glibc');
}

/** What node_modules lacks of the lockfile, by npm's own record of what it installed. */
function missingModules() {
  const wanted = readJson(join(ROOT, 'package-lock.json'))?.packages;
  if (!wanted) throw new Stop('package-lock.json is missing or broken: restore it from git');
  const installed = readJson(join(ROOT, 'node_modules', '.package-lock.json'))?.packages ?? {};
  const missing = Object.keys(wanted).filter((path) => {
    const have = installed[path];
    return path !== '' && (have ? have.version !== wanted[path].version : isNeeded(wanted[path]));
  });
  if (!existsSync(NODE)) missing.push('node_modules/node/bin/node');
  return missing;
}

/** npm leaves out optional packages that do not support the Node it runs on: the page's bundler needs one of these. */
function hostNodeSuffices() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major >= 23 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19);
}

/** A directory with Node 24 and npm 11, for hosts whose own Node is too old to run the installation. */
async function bootstrapNode() {
  const prefix = join(ROOT, '.cache', 'bootstrap');
  const bin = join(prefix, 'node_modules', '.bin');
  const { version } = readJson(join(ROOT, 'package-lock.json')).packages['node_modules/node'];
  say(`fetching Node ${version} to install with (this host has ${process.version})...`);
  const packages = [`node-${process.platform}-${process.arch}@${version}`, 'npm@11.19.1'];
  await quiet(['npm', 'install', '--prefix', prefix, '--no-save', '--no-audit', '--no-fund', ...packages]);
  return bin;
}

/** Installs node modules exactly as the lockfile has them, when they are missing or other than that. */
export async function ensureModules() {
  if (missingModules().length === 0) return;
  // npm removes node_modules first: what runs meanwhile must not be the node in there.
  const inherited = (process.env.PATH ?? '').split(delimiter);
  const path = inherited.filter((dir) => !dir.startsWith(join(ROOT, 'node_modules')));
  if (!hostNodeSuffices()) path.unshift(await bootstrapNode());
  say('installing node modules from the lockfile (about 900 MB on disk)...');
  await quiet(['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error', '--engine-strict=false'], {
    ...NO_DOWNLOADS,
    PATH: path.join(delimiter),
  });
  const missing = missingModules();
  if (missing.length > 0) {
    throw new Stop(
      `npm left out ${missing.join(', ')}: allow install scripts and optional packages (npm config get ignore-scripts, omit)`,
    );
  }
}
