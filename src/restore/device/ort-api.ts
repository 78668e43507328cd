import koffi from 'koffi';

import type { Pointer } from './cuda-runtime.ts';
import type { ElementType } from './device.ts';

/** ONNXTensorElementDataType of onnxruntime_c_api.h. */
export const ELEMENT: Record<ElementType, number> = { float32: 1, uint8: 2, float16: 10 };

/**
 * The functions used here of the C API of ONNX Runtime, by their place in `struct OrtApi` (onnxruntime_c_api.h,
 * API version 11): places never change once released, so that any later library serves them too.
 * `status` = an OrtStatus, checked; `out` = the place of a pointer that is written.
 */
const FUNCTIONS = {
  getErrorMessage: [2, 'const char *', ['void *']],
  createEnv: [3, 'status', ['int', 'const char *', 'out']],
  createSessionFromArray: [8, 'status', ['void *', 'void *', 'size_t', 'void *', 'out']],
  createSessionOptions: [10, 'status', ['out']],
  setSessionLogSeverityLevel: [22, 'status', ['void *', 'int']],
  createRunOptions: [39, 'status', ['out']],
  createTensorWithData: [49, 'status', ['void *', 'void *', 'size_t', 'void *', 'size_t', 'int', 'out']],
  createMemoryInfo: [68, 'status', ['const char *', 'int', 'int', 'int', 'out']],
  releaseEnv: [92, 'void', ['void *']],
  releaseStatus: [93, 'void', ['void *']],
  releaseMemoryInfo: [94, 'void', ['void *']],
  releaseSession: [95, 'void', ['void *']],
  releaseValue: [96, 'void', ['void *']],
  releaseRunOptions: [97, 'void', ['void *']],
  releaseSessionOptions: [100, 'void', ['void *']],
  runWithBinding: [133, 'status', ['void *', 'void *', 'void *']],
  createIoBinding: [134, 'status', ['void *', 'out']],
  releaseIoBinding: [135, 'void', ['void *']],
  bindInput: [136, 'status', ['void *', 'const char *', 'void *']],
  bindOutput: [137, 'status', ['void *', 'const char *', 'void *']],
  addRunConfigEntry: [165, 'status', ['void *', 'const char *', 'const char *']],
  appendTensorRt: [170, 'status', ['void *', 'void *']],
  createTensorRtOptions: [171, 'status', ['out']],
  updateTensorRtOptions: [172, 'status', ['void *', 'void *', 'void *', 'size_t']],
  releaseTensorRtOptions: [174, 'void', ['void *']],
  appendCuda: [204, 'status', ['void *', 'void *']],
  createCudaOptions: [205, 'status', ['out']],
  updateCudaOptions: [206, 'status', ['void *', 'void *', 'void *', 'size_t']],
  releaseCudaOptions: [208, 'void', ['void *']],
} as const;

type Name = keyof typeof FUNCTIONS;
/** Version of the struct asked for: the newest function used here came with it. */
const API_VERSION = 11;

/**
 * ONNX Runtime's C API in the library that onnxruntime-node ships. Its Node binding passes the CUDA provider nothing
 * but a device number; through the C API the window and the state stay on the device and a run is one CUDA graph.
 */
export class OrtApi {
  private readonly functions = new Map<Name, (...args: unknown[]) => unknown>();

  /** @param library path of libonnxruntime. Throws when it cannot be loaded or is too old. */
  constructor(library: string) {
    const base = koffi.load(library).func('void *OrtGetApiBase()')() as Pointer;
    const getApi = koffi.decode(base, 'void *') as Pointer;
    const api = koffi.call(getApi, koffi.proto('void *', ['uint32']), API_VERSION) as Pointer | null;
    if (!api) throw new Error(`${library} does not have version ${API_VERSION} of ONNX Runtime's C API`);
    for (const [name, [place, result, args]] of Object.entries(FUNCTIONS) as [
      Name,
      (typeof FUNCTIONS)[Name],
    ][]) {
      const proto = koffi.proto(
        result === 'status' ? 'void *' : result,
        args.map((type) => (type === 'out' ? koffi.out(koffi.pointer('void *')) : type)),
      );
      this.functions.set(name, koffi.decode(koffi.decode(api, place * 8, 'void *'), proto));
    }
  }

  /** Calls a function that returns a status. Throws with its message. */
  do(name: Name, ...args: unknown[]): void {
    const status = this.functions.get(name)!(...args) as Pointer | null;
    if (!status) return;
    const message = this.functions.get('getErrorMessage')!(status) as string;
    this.functions.get('releaseStatus')!(status);
    throw new Error(message);
  }

  /** Calls a function whose last argument is the place of a result. */
  make(name: Name, ...args: unknown[]): Pointer {
    const place: [Pointer | null] = [null];
    this.do(name, ...args, place);
    return place[0]!;
  }

  /** Adds a provider to the options of a session. */
  appendProvider(kind: 'Cuda' | 'TensorRt', sessionOptions: Pointer, settings: Record<string, string>): void {
    const options = this.make(`create${kind}Options`);
    try {
      const keys = strings(Object.keys(settings));
      const values = strings(Object.values(settings));
      this.do(`update${kind}Options`, options, keys.table, values.table, BigInt(keys.buffers.length));
      this.do(`append${kind}`, sessionOptions, options);
    } finally {
      this.release(`release${kind}Options`, options);
    }
  }

  release(name: Extract<Name, `release${string}`>, what: Pointer): void {
    this.functions.get(name)!(what);
  }
}

/** A `char *[]`: the table, and the strings that must live as long. */
function strings(texts: string[]): { table: BigInt64Array; buffers: Buffer[] } {
  const buffers = texts.map((text) => Buffer.from(`${text}\0`));
  return { table: BigInt64Array.from(buffers, (buffer) => koffi.address(buffer)), buffers };
}
