import { execFile } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { copyFile, mkdtemp, readdir, realpath, rename, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import yauzl from 'yauzl';
import { ClearwayError, errorInfo } from './contracts/errors.ts';
import {
  CUDA_FILES,
  CUDA_OPTIONAL,
  LIBRARIES,
  ORT_VERSION,
  PROVIDER_FILES,
  preload,
  providerVersion,
  TENSORRT_FILE,
} from './restore/device/cuda-libraries.ts';

const PROVIDERS = [...PROVIDER_FILES, TENSORRT_FILE];
/** cuDNN is eight libraries that load each other from their own folder. */
const COMPANIONS = /^(libcudnn_\w+\.so\.9|libnvrtc-builtins\.so\.13\.\d+)$/;

/** The wheels on PyPI that hold them: what onnxruntime-gpu's extras `cuda` and `cudnn` name. */
const PROVIDER_WHEEL = `onnxruntime-gpu==${ORT_VERSION}`;
const CUDA_WHEELS = [
  'nvidia-cuda-runtime~=13.0',
  'nvidia-cublas~=13.0',
  'nvidia-curand~=10.0',
  'nvidia-cufft~=12.0',
  'nvidia-cuda-nvrtc~=13.0',
  'nvidia-cudnn-cu13~=9.0',
];
/** Any Python that has pip may download: the libraries are the same for all. */
const PIP_TARGET = ['--python-version', '3.12', '--implementation', 'cp', '--only-binary=:all:', '--no-deps'];
const PIP_PLATFORMS = ['manylinux_2_28_x86_64', 'manylinux_2_27_x86_64', 'manylinux2014_x86_64'];

function isWanted(name: string): boolean {
  return [...PROVIDERS, ...CUDA_FILES, ...CUDA_OPTIONAL].includes(name) || COMPANIONS.test(name);
}

type Say = (line: string) => void;

/**
 * Puts ONNX Runtime's CUDA provider beside onnxruntime-node, and CUDA's libraries too where the loader has none.
 * @param from wheels (copied from) and folders (searched; CUDA's libraries in them are linked to); none = from PyPI
 */
export async function installGpu(from: string[], say: Say, into = LIBRARIES): Promise<void> {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw unavailable('ONNX Runtime has a CUDA provider for Linux on x64 only.');
  const scratch = await mkdtemp(join(tmpdir(), 'clearway-gpu-'));
  try {
    const sources = from.length > 0 ? from : await download(scratch, say);
    for (const source of sources) await installFrom(resolve(source), into, say);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  await verify(into, say);
}

function unavailable(what: string, cause?: unknown): ClearwayError {
  return new ClearwayError('CLEARWAY_PROVIDER_UNAVAILABLE', what, { cause });
}

/** What CUDA lacks here, as far as the loader can tell without a GPU. */
function missingCuda(): string[] {
  return CUDA_FILES.filter((file) => preload(file) !== undefined);
}

async function download(into: string, say: Say): Promise<string[]> {
  const wheels = [PROVIDER_WHEEL, ...(missingCuda().length > 0 ? CUDA_WHEELS : [])];
  say(`downloading ${wheels.join(', ')} with pip`);
  const platforms = PIP_PLATFORMS.flatMap((platform) => ['--platform', platform]);
  const args = ['-m', 'pip', 'download', '--quiet', ...PIP_TARGET, ...platforms, '--dest', into, ...wheels];
  try {
    await promisify(execFile)('python3', args, { maxBuffer: 1 << 24 });
  } catch (cause) {
    const { stderr, message } = cause as { stderr?: string; message: string };
    throw unavailable(
      `pip could not download them (${(stderr || message).trim().split('\n').at(-1)}). Without Python, pip or the network: download the wheels ${wheels.join(', ')} elsewhere (pypi.org, files for manylinux x86_64) and run \`clearway gpu install --from FILE\` for each, or name a folder that holds them or their libraries.`,
      cause,
    );
  }
  return (await readdir(into)).filter((name) => name.endsWith('.whl')).map((name) => join(into, name));
}

async function installFrom(source: string, into: string, say: Say): Promise<void> {
  const found = await stat(source).catch(() => undefined);
  if (!found) throw unavailable(`${source} is not there.`);
  const installed = found.isDirectory()
    ? await fromFolder(source, into, say)
    : await fromWheel(source, into, say);
  if (installed === 0)
    throw unavailable(`${source} holds none of the libraries wanted: ${PROVIDERS.join(', ')} or CUDA 13's.`);
}

async function fromFolder(folder: string, into: string, say: Say): Promise<number> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  let installed = 0;
  for (const { name, parentPath } of entries) {
    const path = join(parentPath, name);
    if (name.endsWith('.whl')) installed += await fromWheel(path, into, say);
    if (!isWanted(name)) continue;
    const real = await realpath(path);
    if (real === (await realpath(join(into, name)).catch(() => undefined))) {
      say(`${name} is from ${folder} already`);
      installed++;
      continue;
    }
    // The provider looks beside itself, CUDA's may stay where their owner updates them.
    if (PROVIDERS.includes(name)) await replace(join(into, name), (target) => copyFile(real, target));
    else await replace(join(into, name), (target) => symlink(real, target));
    say(`${name} from ${folder}`);
    installed++;
  }
  return installed;
}

async function fromWheel(wheel: string, into: string, say: Say): Promise<number> {
  let installed = 0;
  try {
    const zip = await yauzl.openPromise(wheel);
    for await (const entry of zip.eachEntry()) {
      const name = basename(entry.fileName);
      if (!isWanted(name)) continue;
      await replace(join(into, name), async (target) =>
        pipeline(await zip.openReadStreamPromise(entry), createWriteStream(target, { mode: 0o755 })),
      );
      say(`${name} from ${basename(wheel)}`);
      installed++;
    }
  } catch (cause) {
    throw unavailable(`${wheel} is not a wheel that can be read (${errorInfo(cause).message}).`, cause);
  }
  return installed;
}

/** A library that a running gateway has open stays whole for it. */
async function replace(path: string, write: (target: string) => Promise<void>): Promise<void> {
  const partial = `${path}.${process.pid}.part`;
  try {
    await write(partial);
    await rename(partial, path);
  } catch (cause) {
    await rm(partial, { force: true });
    throw unavailable(
      `${path} cannot be written (${(cause as Error).message}): run this as the owner of that folder.`,
      cause,
    );
  }
}

async function verify(into: string, say: Say): Promise<void> {
  const present = new Set(await readdir(into));
  const missing = PROVIDER_FILES.filter((file) => !present.has(file));
  if (missing.length > 0)
    throw unavailable(`${missing.join(' and ')} still missing: name onnxruntime-gpu's wheel.`);
  const version = providerVersion(join(into, PROVIDER_FILES[1]!));
  if (version !== ORT_VERSION)
    throw unavailable(
      `The CUDA provider installed is of ONNX Runtime ${version ?? 'of unknown version'}, onnxruntime-node of ${ORT_VERSION}: take the wheel ${PROVIDER_WHEEL}.`,
    );
  say(`the CUDA provider of ONNX Runtime ${version} is in ${into}`);
  const cuda = missingCuda();
  if (cuda.length > 0)
    throw unavailable(
      `CUDA 13 and cuDNN 9 are incomplete: ${cuda.join(', ')} cannot be loaded. Run \`clearway gpu install\` without --from where there is a network, name a folder that holds them, or set LD_LIBRARY_PATH.`,
    );
}
