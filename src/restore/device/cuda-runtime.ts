import koffi from 'koffi';
import { ClearwayError } from '../../contracts/errors.ts';

/** An address in this process or on the device. */
export type Pointer = bigint;

/** Memory the host and the device can both reach quickly. */
export interface HostMemory {
  at: Pointer;
  view: Uint8Array;
}

/** What a device does with memory; everything but `synchronize` is only queued, in order. */
export interface DeviceRuntime {
  /** Name of the memory in ONNX Runtime's terms, and number of the device. */
  readonly memory: { name: string; device: number };
  /** The queue (a CUDA stream) that copies and runs share. */
  readonly queue: Pointer | undefined;
  /** Waits until everything queued is done. Throws what went wrong in it. */
  synchronize(): void;
  alloc(bytes: number): Pointer;
  free(what: Pointer): void;
  allocHost(bytes: number): HostMemory;
  freeHost(memory: HostMemory): void;
  upload(to: Pointer, from: Pointer, bytes: number): void;
  download(to: Pointer, from: Pointer, bytes: number): void;
  copy(to: Pointer, from: Pointer, bytes: number): void;
  close(): void;
}

/** cudaMemcpyKind */
const HOST_TO_DEVICE = 1;
const DEVICE_TO_HOST = 2;
const DEVICE_TO_DEVICE = 3;
/** cudaStreamNonBlocking */
const NON_BLOCKING = 1;

/** cudaError_t values that say more than their message, and what to do. */
const EXPLAINED: Record<number, string> = {
  2: 'the GPU has no memory left: fewer streams, a smaller height, or free what else uses it',
  35: 'the NVIDIA driver is too old for CUDA 13: install driver 580 or newer',
  100: 'the NVIDIA driver sees no GPU',
  101: 'there is no GPU of that number: see restorer.devices',
  803: "the NVIDIA driver's library does not match its kernel module: reboot",
};

type Call = (...args: unknown[]) => number;

/** The functions used here of the CUDA runtime (libcudart): memory, page-locked memory, one stream. */
export class CudaRuntime implements DeviceRuntime {
  readonly memory: { name: string; device: number };
  readonly queue: Pointer;
  private readonly calls: Record<string, Call>;
  private readonly message: (code: number) => string;

  /** Throws CLEARWAY_PROVIDER_UNAVAILABLE when the library is missing or there is no such device. */
  constructor(device: number) {
    this.memory = { name: 'Cuda', device };
    const library = koffi.load('libcudart.so.13');
    this.message = library.func('const char *cudaGetErrorString(int code)');
    this.calls = {
      setDevice: library.func('int cudaSetDevice(int device)'),
      malloc: library.func('int cudaMalloc(_Out_ void **place, size_t bytes)'),
      free: library.func('int cudaFree(void *what)'),
      hostAlloc: library.func('int cudaHostAlloc(_Out_ void **place, size_t bytes, uint flags)'),
      hostFree: library.func('int cudaFreeHost(void *what)'),
      streamCreate: library.func('int cudaStreamCreateWithFlags(_Out_ void **place, uint flags)'),
      streamDestroy: library.func('int cudaStreamDestroy(void *stream)'),
      streamSynchronize: library.func('int cudaStreamSynchronize(void *stream)'),
      copy: library.func('int cudaMemcpyAsync(void *to, void *from, size_t bytes, int kind, void *stream)'),
    };
    this.do('setDevice', device);
    this.queue = this.make('streamCreate', NON_BLOCKING);
  }

  synchronize(): void {
    this.do('streamSynchronize', this.queue);
  }

  alloc(bytes: number): Pointer {
    return this.make('malloc', bytes);
  }

  free(what: Pointer): void {
    this.do('free', what);
  }

  /** Page-locked memory: copies to and from it run at the speed of the bus. */
  allocHost(bytes: number): HostMemory {
    const at = this.make('hostAlloc', bytes, 0);
    return { at, view: new Uint8Array(koffi.view(at, bytes)) };
  }

  freeHost({ at }: HostMemory): void {
    this.do('hostFree', at);
  }

  upload(to: Pointer, from: Pointer, bytes: number): void {
    this.do('copy', to, from, bytes, HOST_TO_DEVICE, this.queue);
  }

  download(to: Pointer, from: Pointer, bytes: number): void {
    this.do('copy', to, from, bytes, DEVICE_TO_HOST, this.queue);
  }

  copy(to: Pointer, from: Pointer, bytes: number): void {
    this.do('copy', to, from, bytes, DEVICE_TO_DEVICE, this.queue);
  }

  close(): void {
    this.do('streamDestroy', this.queue);
  }

  private do(name: string, ...args: unknown[]): void {
    const code = this.calls[name]!(...args);
    if (code === 0) return;
    const what = `CUDA ${name}: ${this.message(code)} (error ${code})`;
    const explained = EXPLAINED[code];
    throw new ClearwayError('CLEARWAY_PROVIDER_UNAVAILABLE', explained ? `${what}: ${explained}` : what);
  }

  private make(name: string, ...args: unknown[]): Pointer {
    const place: [Pointer | null] = [null];
    this.do(name, place, ...args);
    return place[0]!;
  }
}
