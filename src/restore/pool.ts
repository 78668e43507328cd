/**
 * The picture buffers of one stream. Buffers are lent, transferred between threads and given back, never shared:
 * whoever holds one returns it or passes it on. A buffer of another size (the picture changed) is let go.
 */
export class FramePool {
  private readonly free: ArrayBuffer[] = [];
  readonly size: number;
  private readonly keep: number;

  /**
   * @param size bytes of one I420 picture, width * height * 3 / 2
   * @param keep spare buffers held at most; more are left to the garbage collector
   */
  constructor(size: number, keep = 8) {
    this.size = size;
    this.keep = keep;
  }

  take(): ArrayBuffer {
    return this.free.pop() ?? new ArrayBuffer(this.size);
  }

  give(buffer: ArrayBuffer): void {
    if (buffer.byteLength === this.size && this.free.length < this.keep) this.free.push(buffer);
  }
}
