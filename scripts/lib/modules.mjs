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

/** Whether node_modules holds what the lockfile says, by npm's own record of what it installed. */
function modulesAreCurrent() {
  const wanted = readJson(join(ROOT, 'package-lock.json'))?.packages;
  const installed = readJson(join(ROOT, 'node_modules', '.package-lock.json'))?.packages;
  if (!wanted || !installed || !existsSync(NODE)) return false;
  return Object.entries(wanted).every(([path, { version, optional, devOptional }]) => {
    const have = installed[path];
    return path === '' || (have ? have.version === version : optional || devOptional);
  });
}

/** Installs node modules exactly as the lockfile has them, when they are missing or other than that. */
export async function ensureModules() {
  if (modulesAreCurrent()) return;
  say('installing node modules from the lockfile (about 900 MB on disk)...');
  // npm removes node_modules first: what runs meanwhile must not be the node in there.
  const path = (process.env.PATH ?? '')
    .split(delimiter)
    .filter((dir) => !dir.startsWith(join(ROOT, 'node_modules')));
  await quiet(['npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error', '--engine-strict=false'], {
    ...NO_DOWNLOADS,
    PATH: path.join(delimiter),
  });
  if (!existsSync(NODE)) {
    throw new Stop(
      'npm did not fetch Node 24: run `npm rebuild node` with install scripts allowed (npm config get ignore-scripts)',
    );
  }
}
