import './no-telemetry.ts';
import koffi from 'koffi';
import type { Pointer } from './cuda-runtime.ts';
import type { ElementType, Port } from './device.ts';

/** ONNXTensorElementDataType of onnxruntime_c_api.h. */
export const ELEMENT: Record<ElementType, number> = { float32: 1, uint8: 2, float16: 10 };

/**
 * The functions used here of the C API of ONNX Runtime, by their place in `struct OrtApi` (onnxruntime_c_api.h,
 * API version 11): places never change once released, so that any later library serves them too.
 * `status` = an OrtStatus, checked; `out`, `outSize`, `outInt` = the place of a result.
 */
const FUNCTIONS = {
  getErrorMessage: [2, 'const char *', ['void *']],
  createEnv: [3, 'status', ['int', 'const char *', 'out']],
  createSessionFromArray: [8, 'status', ['void *', 'void *', 'size_t', 'void *', 'out']],
  createSessionOptions: [10, 'status', ['out']],
  setSessionLogSeverityLevel: [22, 'status', ['void *', 'int']],
  setIntraOpNumThreads: [24, 'status', ['void *', 'int']],
  sessionGetInputCount: [30, 'status', ['void *', 'outSize']],
  sessionGetOutputCount: [31, 'status', ['void *', 'outSize']],
  sessionGetInputTypeInfo: [33, 'status', ['void *', 'size_t', 'out']],
  sessionGetOutputTypeInfo: [34, 'status', ['void *', 'size_t', 'out']],
  sessionGetInputName: [36, 'status', ['void *', 'size_t', 'void *', 'out']],
  sessionGetOutputName: [37, 'status', ['void *', 'size_t', 'void *', 'out']],
  createRunOptions: [39, 'status', ['out']],
  createTensorWithData: [49, 'status', ['void *', 'void *', 'size_t', 'void *', 'size_t', 'int', 'out']],
  castTypeInfoToTensorInfo: [55, 'status', ['void *', 'out']],
  getTensorElementType: [60, 'status', ['void *', 'outInt']],
  getDimensionsCount: [61, 'status', ['void *', 'outSize']],
  getDimensions: [62, 'status', ['void *', 'void *', 'size_t']],
  getSymbolicDimensions: [63, 'status', ['void *', 'void *', 'size_t']],
  createMemoryInfo: [68, 'status', ['const char *', 'int', 'int', 'int', 'out']],
  allocatorFree: [76, 'status', ['void *', 'void *']],
  getAllocatorWithDefaultOptions: [78, 'status', ['out']],
  releaseEnv: [92, 'void', ['void *']],
  releaseStatus: [93, 'void', ['void *']],
  releaseMemoryInfo: [94, 'void', ['void *']],
  releaseSession: [95, 'void', ['void *']],
  releaseValue: [96, 'void', ['void *']],
  releaseRunOptions: [97, 'void', ['void *']],
  releaseTypeInfo: [98, 'void', ['void *']],
  releaseSessionOptions: [100, 'void', ['void *']],
  addFreeDimensionOverrideByName: [124, 'status', ['void *', 'const char *', 'int64_t']],
  runWithBinding: [133, 'status', ['void *', 'void *', 'void *']],
  createIoBinding: [134, 'status', ['void *', 'out']],
  releaseIoBinding: [135, 'void', ['void *']],
  bindInput: [136, 'status', ['void *', 'const char *', 'void *']],
  bindOutput: [137, 'status', ['void *', 'const char *', 'void *']],
  appendTensorRt: [170, 'status', ['void *', 'void *']],
  createTensorRtOptions: [171, 'status', ['out']],
  updateTensorRtOptions: [172, 'status', ['void *', 'void *', 'void *', 'size_t']],
  releaseTensorRtOptions: [174, 'void', ['void *']],
  appendCuda: [204, 'status', ['void *', 'void *']],
  createCudaOptions: [205, 'status', ['out']],
  updateCudaOptions: [206, 'status', ['void *', 'void *', 'void *', 'size_t']],
  releaseCudaOptions: [208, 'void', ['void *']],
} as const;

const PLACES: Record<string, ReturnType<typeof koffi.out>> = {
  out: koffi.out(koffi.pointer('void *')),
  outSize: koffi.out(koffi.pointer('size_t')),
  outInt: koffi.out(koffi.pointer('int')),
};

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
        args.map((type) => PLACES[type] ?? type),
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

  /** Calls a function whose last argument is the place of a number. */
  count(name: Name, ...args: unknown[]): number {
    const place = [0];
    this.do(name, ...args, place);
    return Number(place[0]);
  }

  /** Names and types of a session's inputs or outputs. */
  ports(session: Pointer, side: 'Input' | 'Output'): Port[] {
    const allocator = this.make('getAllocatorWithDefaultOptions');
    return Array.from({ length: this.count(`sessionGet${side}Count`, session) }, (_, at) => {
      const text = this.make(`sessionGet${side}Name`, session, at, allocator);
      const name = koffi.decode(text, 'char', -1) as string;
      this.do('allocatorFree', allocator, text);
      const info = this.make(`sessionGet${side}TypeInfo`, session, at);
      const tensor = this.make('castTypeInfoToTensorInfo', info);
      const code = tensor ? this.count('getTensorElementType', tensor) : 0;
      const type = Object.entries(ELEMENT).find(([, value]) => value === code)?.[0] ?? `type ${code}`;
      const dims = tensor ? this.dims(tensor) : [];
      this.release('releaseTypeInfo', info);
      return { name, type, dims };
    });
  }

  private dims(tensor: Pointer): (number | string)[] {
    const rank = this.count('getDimensionsCount', tensor);
    const sizes = new BigInt64Array(rank);
    const names = new BigUint64Array(rank);
    this.do('getDimensions', tensor, sizes, rank);
    this.do('getSymbolicDimensions', tensor, names, rank);
    return Array.from(sizes, (size, at) =>
      size >= 0n ? Number(size) : (koffi.decode(names[at]!, 'char', -1) as string),
    );
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
