import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import { PROVIDERS } from '../contracts/restorer.ts';
import { createCudaDevice } from './device/cuda-device.ts';
import {
  CUDA_FILES,
  CUDA_OPTIONAL,
  LIBRARIES,
  ORT_VERSION,
  PROVIDER_FILES,
  preload,
  providerVersion,
  TENSORRT_FILE,
  TENSORRT_LIBRARY,
} from './device/cuda-libraries.ts';
import type { Device, Provider } from './device/device.ts';
import { CpuDevice, WebGpuDevice } from './device/node-device.ts';
import { driversNamed } from './device/vulkan-drivers.ts';

export interface DeviceOptions {
  /** CPU threads of one run. */
  threads: number;
  /** Number of the GPU, for providers that can be told. */
  device: number;
}

/**
 * Providers to try, in this order. A provider that was asked for is followed by the slower ones: a stream that is
 * restored more slowly is better than one that is not.
 */
export function candidates(wanted: Provider | 'auto', avoid: readonly Provider[] = []): Provider[] {
  const from = wanted === 'auto' ? 0 : PROVIDERS.indexOf(wanted);
  return PROVIDERS.slice(from).filter((provider) => provider === 'cpu' || !avoid.includes(provider));
}

/** Opens a device. Throws CLEARWAY_PROVIDER_UNAVAILABLE with what is missing and how to get it. */
export async function openDevice(provider: Provider, { threads, device }: DeviceOptions): Promise<Device> {
  switch (provider) {
    case 'cpu':
      return new CpuDevice(threads);
    case 'webgpu':
      return openWebGpu();
    case 'cuda':
      checkCuda();
      return createCudaDevice(provider, device);
    case 'tensorrt':
      checkCuda();
      checkTensorRt();
      return createCudaDevice(provider, device);
  }
}

function unavailable(what: string, cause?: unknown): ClearwayError {
  return new ClearwayError('CLEARWAY_PROVIDER_UNAVAILABLE', what, { cause });
}

function checkCuda(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    throw unavailable('ONNX Runtime has this provider for Linux on x64 only');
  if (!existsSync('/dev/nvidiactl'))
    throw unavailable(
      'no NVIDIA GPU here: the driver has no /dev/nvidiactl (in a container: run it with --gpus all)',
    );
  const missing = PROVIDER_FILES.filter((file) => !existsSync(join(LIBRARIES, file)));
  if (missing.length > 0)
    throw unavailable(`${missing.join(' and ')} missing in ${LIBRARIES}: run \`clearway gpu install\``);
  const version = providerVersion();
  if (version !== ORT_VERSION)
    throw unavailable(
      `the CUDA provider there is of ONNX Runtime ${version ?? 'of unknown version'}, not ${ORT_VERSION}: run \`clearway gpu install\``,
    );
  if (preload('libcuda.so.1'))
    throw unavailable(
      "the NVIDIA driver's library libcuda.so.1 is missing: install the driver's compute part",
    );
  for (const file of CUDA_FILES) {
    const wrong = preload(file);
    if (wrong)
      throw unavailable(
        `CUDA 13's ${file} cannot be loaded (${wrong}): run \`clearway gpu install\`, or name its folder in LD_LIBRARY_PATH`,
      );
  }
  for (const file of CUDA_OPTIONAL) preload(file);
}

function checkTensorRt(): void {
  if (!existsSync(join(LIBRARIES, TENSORRT_FILE)))
    throw unavailable(`${TENSORRT_FILE} missing in ${LIBRARIES}: run \`clearway gpu install\``);
  const wrong = preload(TENSORRT_LIBRARY);
  if (wrong)
    throw unavailable(
      `TensorRT 10's ${TENSORRT_LIBRARY} cannot be loaded (${wrong}): install TensorRT 10 for CUDA 13 and name its folder in LD_LIBRARY_PATH`,
    );
  preload('libnvonnxparser.so.10');
}

/** Throws where Vulkan cannot have a GPU. */
function checkVulkan(): void {
  const nodes = existsSync('/dev/dri')
    ? readdirSync('/dev/dri').filter((name) => name.startsWith('render'))
    : [];
  const gpus = [...nodes.map((name) => `/dev/dri/${name}`), '/dev/nvidia0'].filter((path) =>
    existsSync(path),
  );
  if (gpus.length === 0)
    throw unavailable('no GPU here: neither /dev/dri/renderD* nor /dev/nvidia0 (in a container: hand it in)');
  if (!gpus.some(readable))
    throw unavailable(`no access to ${gpus.join(', ')}: add this user to the groups render and video`);
}

async function openWebGpu(): Promise<Device> {
  if (process.platform === 'linux' && !driversNamed()) checkVulkan();
  const device = new WebGpuDevice();
  try {
    const tensor = await device.upload(new Uint8Array(16), 'uint8', [1, 1, 4, 4]);
    await device.download(tensor, new Uint8Array(16));
    tensor.release();
  } catch (cause) {
    throw unavailable(
      `Vulkan has no usable GPU (${firstLine(errorInfo(cause).message)}): install libvulkan1 and the GPU's Vulkan driver`,
      cause,
    );
  }
  return device;
}

function readable(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** ONNX Runtime's errors begin with a source path and may have a stack below. */
function firstLine(message: string): string {
  const line = message.split('\n')[0]!;
  return line.match(/was false\. (.*)/)?.[1] ?? line;
}
