import { closeSync, existsSync, openSync, readSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import koffi from 'koffi';

const require = createRequire(import.meta.url);

/** Where onnxruntime-node keeps its libraries, and looks for those of providers. */
export const LIBRARIES = join(
  dirname(require.resolve('onnxruntime-node/package.json')),
  `bin/napi-v6/${process.platform}/${process.arch}`,
);
export const ORT_VERSION = (require('onnxruntime-node/package.json') as { version: string }).version;
export const ORT_LIBRARY = join(LIBRARIES, 'libonnxruntime.so.1');

/** What the CUDA provider of ONNX Runtime consists of; TensorRT's is a third file. */
export const PROVIDER_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
export const TENSORRT_FILE = 'libonnxruntime_providers_tensorrt.so';

/** CUDA 13's and cuDNN 9's libraries that the provider loads, in the order in which they need each other. */
export const CUDA_FILES = [
  'libcudart.so.13',
  'libcublasLt.so.13',
  'libcublas.so.13',
  'libcurand.so.10',
  'libcufft.so.12',
  'libcudnn.so.9',
];
/** cuDNN compiles some kernels with it, and does without them where it is not there. */
export const CUDA_OPTIONAL = ['libnvrtc.so.13'];
export const TENSORRT_LIBRARY = 'libnvinfer.so.10';

/** Folders searched after the loader's own (LD_LIBRARY_PATH, ldconfig). */
const FOLDERS = [LIBRARIES, '/usr/local/cuda/lib64', '/usr/local/cuda-13/lib64'];

/**
 * Loads a shared library so that others that need it find it.
 * @returns what is wrong, or undefined
 */
export function preload(name: string): string | undefined {
  const wrong: string[] = [];
  for (const path of [
    name,
    ...FOLDERS.map((folder) => join(folder, name)).filter((path) => existsSync(path)),
  ]) {
    try {
      koffi.load(path, { global: true });
      return undefined;
    } catch (error) {
      wrong.push((error as Error).message);
    }
  }
  // The last one was found and would not load; the first only was not found.
  return wrong.at(-1);
}

const CHUNK = 4 << 20;
/** Longer than a version with its zeros: what a chunk's end may cut is read again. */
const OVERLAP = 32;

/** Version of ONNX Runtime the CUDA provider beside it was built as; undefined when it does not say. */
export function providerVersion(path = join(LIBRARIES, PROVIDER_FILES[1]!)): string | undefined {
  // Its read-only data names it once, among megabytes of kernels.
  const file = openSync(path, 'r');
  const chunk = Buffer.alloc(CHUNK);
  let other: string | undefined;
  try {
    for (let at = 0, read = CHUNK; read > OVERLAP; at += read - OVERLAP) {
      read = readSync(file, chunk, 0, CHUNK, at);
      const text = chunk.toString('latin1', 0, read);
      if (text.includes(`\0${ORT_VERSION}\0`)) return ORT_VERSION;
      other ??= /\0(1\.[1-9]\d\.\d)\0/.exec(text)?.[1];
    }
  } finally {
    closeSync(file);
  }
  return other;
}
