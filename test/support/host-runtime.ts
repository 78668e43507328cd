import koffi from 'koffi';
import type { DeviceRuntime, HostMemory, Pointer } from '../../src/restore/device/cuda-runtime.ts';

/** A device whose memory is this process's: NativeDevice's way through the C API, on a machine without a GPU. */
export class HostRuntime implements DeviceRuntime {
  readonly memory = { name: 'Cpu', device: 0 };
  readonly queue = undefined;
  /** Bytes allocated and not freed. */
  held = 0;
  /** The device's memory, bytes. */
  limit = Number.POSITIVE_INFINITY;
  private readonly sizes = new Map<Pointer, number>();
  private readonly libc = koffi.load('libc.so.6');
  private readonly malloc = this.libc.func('void *malloc(size_t bytes)');
  private readonly libcFree = this.libc.func('void free(void *what)');
  private readonly memcpy = this.libc.func('void *memcpy(void *to, void *from, size_t bytes)');

  synchronize(): void {}

  alloc(bytes: number): Pointer {
    if (this.held + bytes > this.limit) throw new Error('CUDA malloc: out of memory (error 2)');
    const at = this.malloc(bytes) as Pointer;
    this.sizes.set(at, bytes);
    this.held += bytes;
    return at;
  }

  free(what: Pointer): void {
    this.held -= this.sizes.get(what)!;
    this.sizes.delete(what);
    this.libcFree(what);
  }

  allocHost(bytes: number): HostMemory {
    const at = this.alloc(bytes);
    return { at, view: new Uint8Array(koffi.view(at, bytes)) };
  }

  freeHost({ at }: HostMemory): void {
    this.free(at);
  }

  upload(to: Pointer, from: Pointer, bytes: number): void {
    this.memcpy(to, from, bytes);
  }

  download(to: Pointer, from: Pointer, bytes: number): void {
    this.memcpy(to, from, bytes);
  }

  copy(to: Pointer, from: Pointer, bytes: number): void {
    this.memcpy(to, from, bytes);
  }

  close(): void {}
}
